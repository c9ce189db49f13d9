"""Opening a config: from options to a config that is ready to use."""

from __future__ import annotations

from mmengine.config import Config

from ..config.load import enter_scope, load_config
from ..config.num_classes import follow_data_set
from ..mmcv_ops import log_stand_in
from ..options import ConfigOptions
from ..preflight.arguments import check_arguments
from ..preflight.model import check_backbone
from ..preflight.run import check_parts
from ..preflight.values import check_values
from ..segmentation.window import set_window
from .quiet import import_frameworks, without_import_notice


def open_config(options: ConfigOptions) -> Config:
    """Load a config, enter its framework's scope, let numbers of classes follow the data set, and set a sliding window.

    Raises:
        UserError: see :func:`..config.load.load_config`, :func:`..config.num_classes.follow_data_set` and
            :func:`..segmentation.window.set_window`.
    """
    with without_import_notice():
        cfg = load_config(options)
        enter_scope(cfg)
        import_frameworks(cfg)
        follow_data_set(cfg, options)
    if options.window_px is not None:
        check_parts(cfg, ('model',))
        set_window(cfg, options.window_px, options.stride_px)
    return cfg


def open_for_prediction(options: ConfigOptions) -> Config:
    """Open a config whose model predicts with weights of a checkpoint, and check it; its data may be elsewhere.

    Raises:
        UserError: see :func:`open_config` and :mod:`..preflight`.
    """
    cfg = open_config(options)
    log_stand_in('current')
    check_parts(cfg, ('model', 'test_dataloader'))
    check_arguments(cfg)
    check_values(cfg)
    check_backbone(cfg.model, with_weights=False)
    return cfg
