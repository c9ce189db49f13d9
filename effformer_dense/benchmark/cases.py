"""Benchmark cases and their measurements."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from ..config.home import find_config
from ..errors import UserError, choice_error
from ..invocation import command
from ..preflight.device import check_device
from ..variants import ALL_VARIANTS, MIN_SIDE_PX, Variant

MODES = ('eager', 'fused', 'compiled', 'fused+compiled')
PRECISIONS = {'fp32': torch.float32, 'bf16': torch.bfloat16, 'fp16': torch.float16}
TIMM_SIDE_PX = 224
#: What a JPEG can have.
MAX_SIDE_PX = 65_535


@dataclass(frozen=True)
class Case:
    """One row of the benchmark.

    Attributes:
        model: name of a variant ('v2_s0'), or path of a config.
        height, width: of the input, in px.
        batch: images at once.
        mode: one of :data:`MODES`.
        precision: one of :data:`PRECISIONS`; other than fp32 by autocast.
        device: torch device.
        train: a training step (forward and backward pass) instead of a forward pass.
        with_cp: train with blocks recomputed in the backward pass.
        library: 'effformer_dense', or 'timm' for timm's model of the same name.
        threads: of torch on a CPU.
        keep_memory: whether the process keeps memory that it frees, as that of the tools does.
        repeats: how often the step is timed.
    """

    model: str
    height: int
    width: int
    batch: int = 1
    mode: str = 'eager'
    precision: str = 'fp32'
    device: str = 'cpu'
    train: bool = False
    with_cp: bool = False
    library: str = 'effformer_dense'
    threads: int = 1
    keep_memory: bool = True
    repeats: int = 10

    @property
    def label(self) -> str:
        """Short name for a table."""
        name = Path(self.model).stem if is_config(self.model) else self.model
        return f'{name} ({self.library})' if self.library == 'timm' else name

    @property
    def conditions(self) -> str:
        """Mode and other settings that differ from the defaults, for a table."""
        extras = (('train', self.train), ('cp', self.with_cp), ('sys', not self.keep_memory))
        return ' '.join([self.mode, *(name for name, applies in extras if applies), self.precision])


@dataclass(frozen=True)
class Measurement:
    """Result of one case.

    Attributes:
        median_ms, fastest_ms, slowest_ms: of the timed steps.
        images_per_s: at the median.
        peak_mib: memory above that at the start of the first step; None where the system does not tell.
        gmacs: multiply-accumulates of a step, in units of 1e9, in convolutions and matrix products.
        parameters: of the model before fusing.
        gemm_gflops: rate of a large matrix product, measured between the steps: median.
        gflop_equivalent: median time x that rate, in GFLOP: what the machine could have computed meanwhile.
        share: part of it that the model's own operations are, 0 to 1.
        parts_ms: of a whole detector or segmentor, time in each part: median.
    """

    case: Case
    median_ms: float
    fastest_ms: float
    slowest_ms: float
    images_per_s: float
    peak_mib: float | None
    gmacs: float
    parameters: int
    gemm_gflops: float
    gflop_equivalent: float
    share: float
    parts_ms: dict[str, float] = field(default_factory=dict)


def variant_names() -> dict[str, Variant]:
    """'v1_l1' ... 'v2_l' to their rows."""
    return {f'v{row.generation}_{row.arch}': row for row in ALL_VARIANTS}


def is_config(model: str) -> bool:
    """Whether ``model`` is a path rather than a variant."""
    return model.endswith('.py')


def make_cases(
    models: Iterable[str],
    sizes: Iterable[tuple[int, int]],
    modes: Iterable[str],
    against_timm: bool,
    **options: Any,
) -> list[Case]:
    """Make all combinations of the options, checked.

    Raises:
        UserError: an unknown variant, a config that is not there, or a combination that cannot be measured.
    """
    models, sizes, modes = list(models), list(sizes), list(modes)
    for model in models:
        _check_model(model)
    check_device(str(options.get('device', 'cpu')))
    _check_threads(options.get('threads'))
    if options.get('train') and any(mode.startswith('fused') for mode in modes):
        raise UserError('--train measures training, and fused models are not for training: use --modes eager compiled.')
    if options.get('train') and any(map(is_config, models)):
        raise UserError(
            f'--train measures backbones: name variants such as v2_s0. For a config, {command("train")} logs it.'
        )
    if options.get('with_cp') and not options.get('train'):
        raise UserError('--with-cp recomputes blocks in the backward pass: it needs --train.')
    for height, width in sizes:
        if not MIN_SIDE_PX <= min(height, width) <= max(height, width) <= MAX_SIDE_PX:
            raise UserError(f'Both sides must be {MIN_SIDE_PX} to {MAX_SIDE_PX:,} px; got {height}x{width}.')
    cases = []
    for model in models:
        for size in sizes:
            if against_timm and size == (TIMM_SIDE_PX, TIMM_SIDE_PX) and not is_config(model):
                cases.append(Case(model, *size, mode='eager', library='timm', **options))
            cases += [Case(model, *size, mode=mode, **options) for mode in modes]
    if against_timm and all(case.library != 'timm' for case in cases):
        raise UserError(f"--against timm compares variants at timm's {TIMM_SIDE_PX} px: add --sizes {TIMM_SIDE_PX}.")
    return cases


def _check_threads(threads: int | None) -> None:
    cores = os.cpu_count() or 1
    if threads is not None and threads > cores:
        raise UserError(f'--threads {threads} is more than the {cores} cores of this machine.')


def _check_model(model: str) -> None:
    if is_config(model):
        if find_config(model) is None:
            raise UserError(f'Config {model} is not there.')
    elif model not in variant_names():
        raise choice_error('model', model, [*variant_names(), 'a config (.py)'])
