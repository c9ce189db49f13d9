"""Options of a config where nothing is trained or scored."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from ..options import ConfigOptions


@dataclass(frozen=True)
class PredictionOptions(ConfigOptions):
    __doc__ = ConfigOptions.__doc__

    work_dir: tyro.conf.Fixed[Path | None] = None  # those of training and testing
    data_root: tyro.conf.Fixed[Path | None] = None
    from_scratch: tyro.conf.Fixed[bool] = False
    amp: tyro.conf.Fixed[bool] = False
    auto_scale_lr: tyro.conf.Fixed[bool] = False
    launcher: tyro.conf.Fixed[Literal['none', 'pytorch', 'slurm', 'mpi']] = 'none'
    outside_root: tyro.conf.Fixed[bool] = False
