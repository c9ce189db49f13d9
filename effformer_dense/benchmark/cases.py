"""What is compared with what: cases, and the groups in which they take turns."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from ..deploy.formats import format_named
from ..deploy.precision import check_precision
from ..errors import MissingPackageError, UserError
from ..invocation import command
from ..options import BenchmarkOptions
from ..preflight.device import check_device
from ..threads import check_threads
from ..variants import MAX_SIDE_PX, MIN_SIDE_PX
from .models import find_model, is_config, is_timm, variant_names
from .published import PUBLISHED_FILES, check_published

#: Our networks in PyTorch.
OWN = ('eager', 'fused', 'compiled', 'fused+compiled')
#: Files for pictures of any size, or of this one, each run by its own runtime.
EXPORTED = ('onnx', 'onnx-fixed', 'openvino')
#: Others' code for the same networks.
TIMM = ('timm', 'timm+compiled')
PUBLISHED = 'published'
Part = Literal['model', 'backbone']
MODES = (*OWN, *EXPORTED, *TIMM, PUBLISHED)
PRECISIONS = {'fp32': torch.float32, 'bf16': torch.bfloat16, 'fp16': torch.float16}
TIMM_SIDE_PX = 224


@dataclass(frozen=True)
class Case:
    """One contender under one set of conditions.

    Attributes:
        model: key of a variant ('v2_s0'), a model of timm ('timm/resnet50'), or path of a config.
        part: of a config's model, 'model' for all of it, or its 'backbone'.
        height, width: of the input, in px.
        batch: images at once; exported files take them one after the other.
        mode: one of :data:`MODES`.
        precision: one of :data:`PRECISIONS`.
        device: torch device.
        train: a training step (forward and backward pass) instead of a forward pass.
        with_cp: train with blocks recomputed in the backward pass.
        threads: on a CPU.
        keep_memory: whether the process keeps memory that it frees, as that of the commands does.
        published: checkout of the published code, for the mode of that name.
        files: folder of exported files, which groups share: writing one takes longer than measuring it.
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
    threads: int = 1
    keep_memory: bool = True
    published: Path | None = None
    files: Path | None = None
    part: Part = 'model'

    @property
    def is_whole(self) -> bool:
        """Whether it is a detector or segmentor, not a backbone."""
        return is_config(self.model) and self.part == 'model'

    @property
    def label(self) -> str:
        """Short name of the model, for a table."""
        return Path(self.model).stem if is_config(self.model) else self.model

    @property
    def contender(self) -> str:
        """Mode and precision, for a table."""
        return self.mode if self.precision == 'fp32' else f'{self.mode} {self.precision}'

    @property
    def name(self) -> str:
        """Model and contender, for messages."""
        return f'{self.label} {self.contender}'

    @property
    def conditions(self) -> str:
        """What the contenders of a group have in common, for a table."""
        extras = (('train', self.train), ('cp', self.with_cp), ('system allocator', not self.keep_memory))
        threads = f'{self.threads} thread{"s" if self.threads > 1 else ""}' if self.device == 'cpu' else self.device
        return ', '.join([f'{self.batch}x{self.height}x{self.width}', threads, *(name for name, on in extras if on)])


def make_groups(
    models: Sequence[str],
    sizes: Sequence[tuple[int, int, int]],
    modes: Sequence[str],
    options: BenchmarkOptions,
    keep_memory: bool = True,
    part: Part = 'model',
) -> list[list[Case]]:
    """Make all combinations of the options, checked.

    Args:
        models: variants, models of timm, or configs.
        sizes: (batch, height, width).
        modes: of :data:`MODES`.
        options: the rest.
        keep_memory, part: see :class:`Case`.

    Returns:
        One group per model, size and number of threads: the cases that take turns. A contender that cannot take a
        group's size (timm's V1 knows one) or a precision (ONNX files are fp32) is left out where others remain.

    Raises:
        UserError: a model that is not there, or a combination that cannot be measured.
    """
    models = [find_model(model) for model in models]
    _check([] if part == 'backbone' else [model for model in models if is_config(model)], sizes, modes, options)
    groups = []
    for model, (batch, height, width), threads in itertools.product(models, sizes, options.thread_counts):
        group = [
            Case(
                model, height, width, batch, mode, precision, options.device, options.train, options.with_cp, threads,
                keep_memory, options.published, part=part,
            )
            for mode, precision in itertools.product(modes, options.precision)
        ]  # fmt: skip
        fitting = [case for case in group if not _misfit(case)]
        if not fitting:
            raise UserError(_misfit(group[0]))
        groups.append(fitting)
    return groups


def reference_index(group: Sequence[Case], reference: str | None) -> int:
    """Place of what the others of a group are compared with: the first one, where none is named or it is not there."""
    names = [case.contender for case in group]
    return names.index(reference) if reference in names else 0


def pairs(group: Sequence[Case], reference: str | None) -> list[list[Case]]:
    """The reference with each other contender of a group; a group of one is as it was."""
    against = group[reference_index(group, reference)]
    return [[against, case] for case in group if case is not against] or [[against]]


def _check(
    configs: Sequence[str], sizes: Iterable[tuple[int, int, int]], modes: Sequence[str], options: BenchmarkOptions
) -> None:
    """``configs``: those of whole models."""
    for _, height, width in sizes:
        if not MIN_SIDE_PX <= min(height, width) <= max(height, width) <= MAX_SIDE_PX:
            raise UserError(f'Both sides must be {MIN_SIDE_PX} to {MAX_SIDE_PX:,} px; got {height}x{width}.')
    check_device(options.device)
    check_threads(max(options.thread_counts))
    if 'bf16' in options.precision and any(mode.startswith('fused') for mode in modes):
        check_precision('bf16', torch.device(options.device))
    if options.with_cp and not options.train:
        raise UserError('--with-cp recomputes blocks in the backward pass: it needs --train.')
    if options.train:
        _check_training(configs, modes)
    others = [mode for mode in modes if mode not in OWN]
    if others and configs:
        raise UserError(f'--modes {others[0]} measures backbones: name variants such as v2_s0, not {configs[0]}.')
    _check_exported([mode for mode in modes if mode in EXPORTED], options)
    if any(mode in TIMM for mode in modes):
        _check_timm()
    if PUBLISHED in modes:
        check_published(options.published)
    elif options.published is not None:
        raise UserError(f'--published {options.published} is measured by --modes published.')


def _check_training(configs: Sequence[str], modes: Sequence[str]) -> None:
    for mode in modes:
        if mode.startswith('fused') or mode in EXPORTED:
            what = 'exported files' if mode in EXPORTED else 'fused models'
            raise UserError(f'--train measures training, and {what} are not for training: use --modes eager compiled.')
    if configs:
        raise UserError(
            f'--train measures backbones: name variants such as v2_s0. For a config, {command("train")} logs it.'
        )


def _check_exported(modes: Sequence[str], options: BenchmarkOptions) -> None:
    """Exported files are measured where they can be run."""
    if modes and options.device != 'cpu':
        raise UserError(f'--device {options.device}: exported files ({modes[0]}) are measured on CPUs.')
    for mode in modes:
        format_named(exported_format(mode)).check()


def _check_timm() -> None:
    try:
        import timm  # noqa: F401  # only who compares needs it
    except ImportError as error:
        raise MissingPackageError('--modes timm needs timm, which is not installed: pip install timm') from error


def _misfit(case: Case) -> str:
    """Why a contender cannot take the size of its group; empty where it can."""
    size = (case.height, case.width)
    if is_timm(case.model) and 'fused' in case.mode and case.precision == 'bf16':
        return f'{case.label} is of timm, whose networks are not fused in bf16.'
    if case.mode in (*TIMM, PUBLISHED):
        if case.with_cp:
            return f'--with-cp is for our networks, not for {case.mode}.'
        if is_timm(case.model) or is_config(case.model):
            return f'--modes {case.mode} is for our variants: {case.label} is measured by eager, fused and compiled.'
        row = variant_names()[case.model]
        if case.mode == PUBLISHED and row.family not in PUBLISHED_FILES:
            return f'The published code of EfficientFormer has no {case.model}.'
        if case.mode in TIMM and row.timm_name is None:
            return f'timm has no {case.model}.'
    if case.mode in TIMM and case.model.startswith('v1') and size != (TIMM_SIDE_PX, TIMM_SIDE_PX):
        return f"timm's {case.model} takes {TIMM_SIDE_PX} x {TIMM_SIDE_PX} px only, not {case.height}x{case.width}."
    if case.mode in (*TIMM, PUBLISHED) and any(side % 32 for side in size):
        return f'{case.mode} takes multiples of 32 px only, not {case.height}x{case.width}.'
    if case.mode in EXPORTED and case.precision not in format_named(exported_format(case.mode)).precisions:
        return f'{exported_format(case.mode)} files are not to be had in {case.precision}.'
    return ''


def exported_format(mode: str) -> str:
    """The format of files that a mode measures."""
    return mode.removesuffix('-fixed')
