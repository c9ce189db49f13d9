"""From options to a config that everything else can work with."""

from __future__ import annotations

from mmengine.config import Config

from ..config.load import enter_scope, load_config
from ..options import ConfigOptions
from ..preflight.run import check_parts
from ..segmentation.window import set_window


def open_config(options: ConfigOptions) -> Config:
    """Config with overrides and switches applied, its framework's scope and imports in place.

    Raises:
        ValueError: see :func:`..config.load.load_config` and :func:`..segmentation.window.set_window`.
    """
    cfg = load_config(options)
    enter_scope(cfg)
    if options.window_px is not None:
        check_parts(cfg, ('model',))
        set_window(cfg, options.window_px, options.stride_px)
    return cfg
