"""The command ``compare``."""

from __future__ import annotations

from pathlib import Path

import tyro

from ..errors import UserError
from ..invocation import typed
from ..options import BenchmarkOptions
from .benchmark import Mode


def compare(
    models: tyro.conf.Positional[tuple[str, ...]],
    measuring: BenchmarkOptions,
    size: tuple[int, int] = (512, 512),
    modes: tuple[Mode, ...] = (),
    out_dir: Path = Path('work_dirs/compare'),
) -> None:
    """Backbones beside each other: parameters, operations, time and memory, from one run in which they take turns.

        COMMAND v2_s0 v1_l1 edgevit_xxs repvit_m0_9 resnet18 --size 512 512 --threads 1
        COMMAND v2_s0 timm/efficientvit_b0 --modes fused compiled onnx-fixed
        COMMAND v2_s2 my_config.py --size 800 1344

    Args:
        models: v1_l1 ... v2_l, edgevit_xxs ..., any model of timm that takes the size, configs for their backbones; the
            first is the reference
        size: px
        modes: ours and timm's, fused each in its way (if none is given; with --train eager); compiled; files for any
            size or for this one
        out_dir: where compare.csv, .md, .json and .png go
    """
    if len(models) < 2:
        raise UserError('Name two backbones or more: variants such as v2_s0, or models of timm such as resnet50.')
    from ..benchmark.compare import compare as run
    from ..benchmark.compare import make_cases

    cases = make_cases(models, size, modes or ('eager' if measuring.train else 'fused',), measuring)
    run(cases, measuring.rounds, out_dir, typed('compare'))
    print(f'Results: {out_dir / "compare.csv"}, and .md, .json and .png beside it')
