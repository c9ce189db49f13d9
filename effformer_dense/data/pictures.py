"""Reading pictures with OpenCV, with clear errors."""

from __future__ import annotations

from pathlib import Path

import cv2
import mmcv
import numpy as np

from ..errors import UserError
from ..options import MAX_PIXELS
from .finding import whole_bytes


def read_picture(path: Path, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Picture as (H, W, 3) uint8, BGR; grey, alpha and 16 bits per channel are converted.

    Args:
        path: the picture.
        max_pixels: limit of height times width, by the header: nothing larger is decoded.

    Raises:
        UserError: missing, empty, truncated, not decodable, of more pixels than the limit, or a side under 32 px.
    """
    data = whole_bytes(path, max_pixels)
    try:
        image = mmcv.imfrombytes(data, flag='color')
    except cv2.error as error:  # before any pixel is decoded
        raise UserError(
            f'{path}: larger than OpenCV decodes, 2^20 px a side and 2^30 pixels. Cut it into parts, or remove it.'
        ) from error
    if image is None:
        raise UserError(f'{path}: no picture format that OpenCV can decode. Replace or remove it.')
    return image
