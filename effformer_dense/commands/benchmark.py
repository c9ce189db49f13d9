"""The command ``benchmark``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import tyro

from ..errors import UserError, choice_error
from ..invocation import typed
from ..options import BenchmarkOptions
from ._sizes import to_shape

Mode = Literal[
    'eager',
    'fused',
    'compiled',
    'fused+compiled',
    'onnx',
    'onnx-fixed',
    'openvino',
    'timm',
    'timm+compiled',
    'published',
]


def benchmark(
    models: tyro.conf.Positional[tuple[str, ...]],
    measuring: BenchmarkOptions,
    sizes: Annotated[tuple[str, ...], tyro.conf.arg(metavar='SIDE|HEIGHTxWIDTH|BATCHxHEIGHTxWIDTH ...')] = (
        '800x1344',
    ),
    modes: tuple[Mode, ...] = (),
    reference: str | None = None,
    pairs: bool = False,
    system_allocator: bool = False,
    out_dir: Path = Path('work_dirs/benchmark'),
) -> None:
    """Time and memory of backbones, detectors and segmentors at any input size, beside what else could run them.

        COMMAND v2_s0 v2_l --sizes 512 800x1344
        COMMAND v2_s0 --sizes 512 --modes fused onnx openvino --precision fp32 bf16 --threads 1 2
        COMMAND v2_s0 v2_l --sizes 8x224x224 --modes fused timm timm+compiled
        COMMAND v2_s0 v1_l1 --modes fused published --published ../EfficientFormer
        COMMAND v2_s0 --train
        COMMAND configs/maskrcnn_v2_s0_coco.py --modes eager fused

    Weights and images are random. Each contender has a process of its own, and they take turns: ratios are of times
    from the same round. The floor is what the network's operations take at the rate of the machine's best convolution,
    plus its layers' reading and writing at the rate of copying, both measured in each round.

    Args:
        models: v1_l1 ... v2_l, edgevit_xxs ..., a model of timm, or a config (.py)
        sizes: px
        modes: of PyTorch (eager and fused if none is given, with --train eager); files of backbones for any size or for
            this one; and others' code for the same networks
        reference: contender that the others are compared with, such as fused or 'fused bf16'; the first if not given
        pairs: let each contender take turns with the reference alone: longer, in less memory; done anyway where they do
            not fit together
        system_allocator: hand freed memory back to the system as programs do by default; the commands keep it
        out_dir: where benchmark.json, .md and .png go
    """
    if not models:
        raise UserError('Name what to measure: a variant such as v2_s0, or a config.')
    from ..benchmark.cases import make_groups
    from ..benchmark.report import run

    shapes = [to_shape(text, measuring.batch) for text in sizes]
    modes = modes or (('eager',) if measuring.train else ('eager', 'fused'))
    groups = make_groups(models, shapes, modes, measuring, keep_memory=not system_allocator)
    names = list(dict.fromkeys(case.contender for group in groups for case in group))
    if reference is not None and reference not in names:
        raise choice_error('--reference', reference, names)
    run(groups, measuring.rounds, reference, out_dir, typed('benchmark'), pairs)
    print(f'Results: {out_dir / "benchmark.md"}, and .json and .png beside it')
