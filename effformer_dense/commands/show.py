"""The command ``show``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from ..options import ConfigOptions, ShowOptions


@dataclass(frozen=True)
class _Options(ConfigOptions):
    """What changes a config.

    Attributes:
        config: config file, the name of one of ours, or a folder that prepare-data own wrote
        cfg_options: change entries of the config
        data_root: folder of the data set, in place of the config's data_root
        outside_root: follow links and names of pictures that lead out of their folder
        max_pixels: largest picture that is read
    """

    work_dir: tyro.conf.Fixed[Path | None] = None  # those of training and testing
    from_scratch: tyro.conf.Fixed[bool] = False
    amp: tyro.conf.Fixed[bool] = False
    auto_scale_lr: tyro.conf.Fixed[bool] = False
    window_px: tyro.conf.Fixed[int | None] = None
    stride_px: tyro.conf.Fixed[int | None] = None
    launcher: tyro.conf.Fixed[Literal['none', 'pytorch', 'slurm', 'mpi']] = 'none'


def show(config: _Options, looks: ShowOptions) -> None:
    """Look at a data set: annotated samples of every class, histograms, one page.

        COMMAND my_export_prepared
        COMMAND maskrcnn_v2_s0_shapes --out-dir looks

    Writes index.html and the pictures that it shows.
    """
    from ..engine.show import show as run

    print(f'Page: {run(config, looks)}')
