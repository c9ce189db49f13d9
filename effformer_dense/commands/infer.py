"""The command ``infer``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from ..options import ConfigOptions, InferOptions


@dataclass(frozen=True)
class _Options(ConfigOptions):
    __doc__ = ConfigOptions.__doc__

    work_dir: tyro.conf.Fixed[Path | None] = None  # those of training and testing
    data_root: tyro.conf.Fixed[Path | None] = None
    from_scratch: tyro.conf.Fixed[bool] = False
    amp: tyro.conf.Fixed[bool] = False
    auto_scale_lr: tyro.conf.Fixed[bool] = False
    launcher: tyro.conf.Fixed[Literal['none', 'pytorch', 'slurm', 'mpi']] = 'none'


def infer(config: _Options, inference: InferOptions) -> None:
    """Run a trained detector or segmentor on pictures of your own.

        COMMAND CONFIG CHECKPOINT picture.jpg
        COMMAND CONFIG CHECKPOINT folder --out-dir results
        COMMAND CONFIG CHECKPOINT 'folder/**/*_left.png'

    Detectors write annotated pictures and predictions.json in COCO format; segmentors write pictures with their colours
    (pictures/), the colours with a legend (colour_maps/) and segmentation maps numbered as the annotations are
    (segmentation_maps/).
    """
    from ..engine.infer import infer as run
    from ._process import keep_memory_on_cpu

    keep_memory_on_cpu()
    print(f'Results: {run(config, inference)}')
