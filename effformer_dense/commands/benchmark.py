"""The command ``benchmark``."""

from __future__ import annotations

import os
import re
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import tyro

from ..errors import UserError
from ..options import BenchmarkOptions


def _size(text: str) -> tuple[int, int]:
    """'800x1344' to (height, width), '512' to a square."""
    match = re.fullmatch(r'(\d+)(?:x(\d+))?', text)
    if match is None:
        raise UserError(f'--sizes takes SIDE or HEIGHTxWIDTH in px, such as 512 or 800x1344; got {text!r}.')
    return int(match[1]), int(match[2] or match[1])


def benchmark(
    models: tyro.conf.Positional[tuple[str, ...]],
    measuring: BenchmarkOptions,
    sizes: Annotated[tuple[str, ...], tyro.conf.arg(metavar='SIDE|HEIGHTxWIDTH ...')] = ('800x1344',),
    modes: tuple[Literal['eager', 'fused', 'compiled', 'fused+compiled'], ...] = ('eager',),
    against: Literal['timm'] | None = None,
    system_allocator: bool = False,
    out_dir: Path = Path('work_dirs/benchmark'),
) -> None:
    """Time and memory of backbones, detectors and segmentors at any input size.

        COMMAND v2_s0 v2_l --sizes 800x1344 --modes eager fused
        COMMAND v2_s0 --sizes 512 1024 2048 --modes fused compiled
        COMMAND v2_s0 v1_l1 --sizes 224 --batch 8 --modes eager fused --against timm
        COMMAND v2_s0 --sizes 800x1344 --train
        COMMAND configs/maskrcnn_v2_s0_coco.py --sizes 800x1344 --modes eager fused

    Weights and images are random. Each row runs in a process of its own. The rate of a large matrix product is measured
    between the steps; the column GFLOP is time x that rate, which travels between machines better than a time does.

    Args:
        models: v1_l1 v1_l3 v1_l7 v2_s0 v2_s1 v2_s2 v2_l, or a config (.py)
        sizes: px
        modes: of inference
        against: add timm's model of the same name at 224 px
        system_allocator: hand freed memory back to the system as programs do by default; the commands keep it
        out_dir: where benchmark.json and benchmark.png go
    """
    if not models:
        raise UserError('Name what to measure: a variant such as v2_s0, or a config.')
    from ..benchmark.cases import make_cases
    from ..benchmark.report import run

    threads = measuring.threads or os.cpu_count()
    options = {**asdict(measuring), 'threads': threads, 'keep_memory': not system_allocator}
    run(make_cases(models, map(_size, sizes), modes, against == 'timm', **options), out_dir)
    print(f'Results: {out_dir / "benchmark.json"}, {out_dir / "benchmark.png"}')
