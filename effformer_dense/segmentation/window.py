"""The sliding window of the commands ``test`` and ``infer``."""

from __future__ import annotations

from mmengine.config import Config

from ..errors import UserError
from ..tasks import task_of_model
from ..variants import MIN_SIDE_PX
from .task import Segmentation
from .tiles import check_test_cfg


def set_window(cfg: Config, window_px: int, stride_px: int | None) -> None:
    """Predict with a sliding window.

    Args:
        cfg: of a segmentor.
        window_px: side of the square window.
        stride_px: from one window to the next; None for two thirds of the window.

    Raises:
        UserError: the model is no segmentor, or the windows would be too small or leave gaps.
    """
    if task_of_model(cfg.model).name != Segmentation.name:
        raise UserError(
            f'--window-px is for segmentors; model.type is {cfg.model.get("type")}. '
            'Detectors take a picture whole: make it smaller in the test pipeline.'
        )
    if window_px < MIN_SIDE_PX:
        raise UserError(f'--window-px {window_px} is too small: {MIN_SIDE_PX} px or more are needed, 512 are usual.')
    if stride_px is not None and stride_px < 1:
        raise UserError(f'--stride-px {stride_px} is not 1 or more. Leave it out for two thirds of the window.')
    stride = max(1, window_px * 2 // 3) if stride_px is None else stride_px
    test_cfg = dict(mode='slide', crop_size=(window_px, window_px), stride=(stride, stride))
    try:
        check_test_cfg(test_cfg)
    except ValueError as error:
        raise UserError(f'--window-px {window_px} with --stride-px {stride}: {error}') from error
    cfg.model.test_cfg = test_cfg
