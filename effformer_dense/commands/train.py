"""The command ``train``."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import tyro
from tyro.constructors import PrimitiveConstructorSpec

from ..errors import UserError
from ..invocation import command, flags, spelled
from ..options import ConfigOptions, TrainOptions

_DEMO = Path('maskrcnn_v2_s0_shapes')

#: An option with or without a value.
_Resume = Annotated[
    str | None,
    PrimitiveConstructorSpec(
        nargs='*',
        metavar='[CHECKPOINT]',
        instance_from_str=lambda values: _one_or_auto(values),
        is_instance=lambda value: value is None or isinstance(value, str),
        str_from_instance=lambda value: [value or 'no'],
    ),
]


@dataclass(frozen=True)
class _Options(ConfigOptions):
    __doc__ = ConfigOptions.__doc__

    config: tyro.conf.Positional[Path] = _DEMO
    window_px: tyro.conf.Fixed[int | None] = None  # those of prediction
    stride_px: tyro.conf.Fixed[int | None] = None


def train(config: _Options, training: TrainOptions, resume: _Resume = None, local_rank: int | None = None) -> None:
    """Train a detector or segmentor.

        COMMAND                              # the embedded default: synthetic shapes, on a CPU
        COMMAND maskrcnn_v2_l_coco           # needs COCO and, once, network for ImageNet weights
        torchrun --nproc_per_node=8 tools/train.py CONFIG --launcher pytorch
        torchrun --nproc_per_node=8 -m effformer_dense train CONFIG --launcher pytorch

    Args:
        resume: go on from a checkpoint; without a name from the last one in the work dir
        local_rank: given by the older of torch's launchers, not by hand
    """
    if resume is not None and resume.endswith('.py'):
        raise UserError(f'--resume takes a checkpoint; {resume} is a config. Name the config before --resume.')
    from ..engine.runner import train as run
    from ._process import adopt_local_rank, is_first, prepare_cpu

    adopt_local_rank(local_rank)
    prepare_cpu()
    work_dir = run(config, resume, training)
    if not is_first(config.launcher):
        return
    print(f'Checkpoints and logs: {work_dir}')
    print(f'Evaluate and draw:    {_test_of(config, work_dir)}')


def _test_of(config: ConfigOptions, work_dir: Path) -> str:
    """The command that tests what was trained: with what changed the config, without what is for training alone."""
    tested = replace(config, work_dir=None, from_scratch=False, amp=False, auto_scale_lr=False, launcher='none')
    words = [command('test'), spelled(config.config), spelled(work_dir), *flags(tested, 'config')]
    return ' '.join([*words, '--show-dir', spelled(work_dir / 'pictures')])


def _one_or_auto(values: list[str]) -> str:
    if len(values) > 1:
        raise ValueError(f'one checkpoint at most; got {len(values)}')
    return values[0] if values else 'auto'
