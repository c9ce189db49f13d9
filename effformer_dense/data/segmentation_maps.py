"""Segmentation maps: one channel, one small integer per pixel. Reading them with clear errors."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..errors import UserError
from .pictures import truncation

UNLABELLED = 255  # what mmseg ignores, after label 0 has been taken away where a data set has it


def read_segmentation_map(path: str | Path) -> np.ndarray:
    """A segmentation map as it stands in the file.

    Returns:
        (H, W) int32.

    Raises:
        UserError: missing, truncated, not decodable, or a picture with colours instead of classes.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise UserError(
            f'{path}: cannot be read ({error.strerror}). Every picture needs its segmentation map.'
        ) from error
    reason = truncation(data)
    if reason:
        raise UserError(f'{path}: {reason}. Replace it.')
    try:
        image = Image.open(io.BytesIO(data))
        seg_map = np.asarray(image)
    except Image.DecompressionBombError as error:  # of the size in the header
        raise UserError(f'{path}: too large to be decoded ({error}). Cut it and its picture into parts.') from error
    except (OSError, ValueError, SyntaxError) as error:  # SyntaxError is how Pillow calls a broken PNG
        raise UserError(f'{path}: no picture that Pillow can decode. Replace it.') from error
    if seg_map.ndim != 2 or image.mode == 'F':
        raise UserError(
            f'{path}: a picture of mode {image.mode}, with colours or fractions; a segmentation map is one channel '
            'of integers. For ADE20K take the annotations of the SceneParsing release (ADEChallengeData2016), not the '
            'full one; coloured maps must first be turned into indices.'
        )
    return seg_map.astype(np.int32) // _grey_scale(data)


def _grey_scale(data: bytes) -> int:
    """By how much Pillow multiplies grey PNGs of 2 and 4 bits, to fill 8; the header has depth and colour type."""
    is_grey_png = data.startswith(b'\x89PNG') and data[25] == 0
    return {2: 85, 4: 17}.get(data[24], 1) if is_grey_png else 1


def check_segmentation_map(path: str | Path, seg_map: np.ndarray, num_classes: int, first_label: int) -> None:
    """Every value means a class or, as the data set has it, nothing.

    Args:
        path: named in the error.
        seg_map: (H, W), as in the file.
        num_classes: number of classes that the file can name.
        first_label: 1 where 0 means unlabelled, as in ADE20K; 0 where 255 does.

    Raises:
        UserError: a value that means nothing.
    """
    last = num_classes - 1 + first_label
    wrong = seg_map[(seg_map > last) & ((seg_map != UNLABELLED) | (first_label == 1))]
    if wrong.size:
        nothing = 0 if first_label else UNLABELLED
        raise UserError(
            f'{path}: label {int(wrong.max())} in {wrong.size:,} pixels; labels go from {first_label} to {last}, and '
            f'{nothing} is unlabelled. Mend the file; or name other classes, with metainfo.classes and '
            'reduce_zero_label (True where the first class is 1) of a data set, with --classes and --first-class of '
            'tools/eval_ade20k.py.'
        )


def read_segmentation_map_of(
    picture: str | Path, size: tuple[int, int] | None, path: str | Path, num_classes: int | None, first_label: int
) -> np.ndarray:
    """Segmentation map of a picture, checked against it.

    Args:
        picture: named in the error.
        size: (height, width) of the picture; None before it is loaded.
        path: its segmentation map.
        num_classes: as in :func:`check_segmentation_map`; None if nobody knows.
        first_label: as there.

    Returns:
        (H, W) int32, as in the file.

    Raises:
        UserError: see :func:`read_segmentation_map` and :func:`check_segmentation_map`; or its size is not the
            picture's.
    """
    seg_map = read_segmentation_map(path)
    if size is not None and seg_map.shape != tuple(size):
        raise UserError(
            f'{path} is {seg_map.shape[1]} x {seg_map.shape[0]} px, its picture {picture} {size[1]} x {size[0]} px. '
            'Both must have one size; do both come from the same release?'
        )
    if num_classes is not None:
        check_segmentation_map(path, seg_map, num_classes, first_label)
    return seg_map


def to_class_indices(seg_map: np.ndarray, first_label: int) -> np.ndarray:
    """Classes counted from 0, unlabelled pixels 255: (H, W) uint8.

    Args:
        seg_map: (H, W) that passed :func:`check_segmentation_map`.
        first_label: as there.
    """
    if first_label == 0:
        return seg_map.astype(np.uint8)
    return np.where(seg_map == 0, UNLABELLED, seg_map - 1).astype(np.uint8)


def to_segmentation_map(indices: np.ndarray, dataset_meta: dict[str, Any]) -> np.ndarray:
    """Class indices as segmentation maps of the data set number them: (H, W) uint8.

    Args:
        indices: (H, W), classes counted from 0.
        dataset_meta: ``reduce_zero_label`` and, where a config chose some of the classes, ``label_map``.
    """
    return file_numbers(dataset_meta)[indices]


def file_numbers(dataset_meta: dict[str, Any]) -> np.ndarray:
    """(256,) uint8: for every class index its number in segmentation maps."""
    indices = np.arange(256)
    for old, new in (dataset_meta.get('label_map') or {}).items():
        if new != UNLABELLED:
            indices[new] = old
    return (indices + first_label_of(dataset_meta)).astype(np.uint8)


def first_label_of(dataset_meta: Mapping[str, Any]) -> int:
    """1 where label 0 of the files means unlabelled, else 0."""
    return int(bool(dataset_meta.get('reduce_zero_label')))
