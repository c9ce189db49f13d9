"""Segmentation maps: one channel, one small integer per pixel. Reading them with clear errors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import UserError
from ..invocation import command
from ..options import MAX_PIXELS
from .headers import BrokenPictureError, decoded, truncation

UNLABELLED = 255  # what mmseg ignores, after label 0 has been taken away where a data set has it


def read_segmentation_map(path: str | Path, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """A segmentation map as it stands in the file.

    Args:
        path: the map.
        max_pixels: limit of height times width, by the header: nothing larger is decoded.

    Returns:
        (H, W) int32.

    Raises:
        UserError: missing, truncated, not decodable, of more pixels than the limit, or a picture with colours instead
            of classes.
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
        with decoded(data, max_pixels) as image:
            mode, seg_map = image.mode, np.asarray(image)
    except BrokenPictureError as error:
        raise UserError(f'{path}: {error}. Replace it.') from error
    if seg_map.ndim != 2 or mode == 'F':
        raise UserError(
            f'{path}: a picture of mode {mode}, with colours or fractions; a segmentation map is one channel of '
            'integers. For ADE20K take the annotations of the SceneParsing release (ADEChallengeData2016), not the '
            f'full one; coloured maps must first be turned into indices: {command("prepare-data")} own FOLDER'
        )
    return unstretched(seg_map.astype(np.int32), data)


def unstretched(values: np.ndarray, encoded: bytes) -> np.ndarray:
    """Without what Pillow multiplies grey PNGs of 2 and 4 bits by, to fill 8; the header has depth and colour type.

    Args:
        values: as Pillow has them.
        encoded: the file, or its first 26 bytes.
    """
    is_grey_png = encoded.startswith(b'\x89PNG') and encoded[25] == 0
    return values // {2: 85, 4: 17}.get(encoded[24], 1) if is_grey_png else values


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
    beyond = (seg_map > last) & ((seg_map != UNLABELLED) | (first_label == 1))
    wrong = seg_map[beyond | (seg_map < 0)]
    if wrong.size:
        nothing = 0 if first_label else UNLABELLED
        raise UserError(
            f'{path}: label {int(wrong.max())} in {wrong.size:,} pixels; labels go from {first_label} to {last}, and '
            f'{nothing} is unlabelled. Mend the file; name other classes, with metainfo.classes and '
            'reduce_zero_label (True where the first class is 1) of a data set, with --classes and --first-class of '
            f'{command("eval-ade20k")}; or let {command("prepare-data")} own FOLDER number them.'
        )


def read_segmentation_map_of(
    picture: str | Path,
    size: tuple[int, int] | None,
    path: str | Path,
    num_classes: int | None,
    first_label: int,
    max_pixels: int = MAX_PIXELS,
) -> np.ndarray:
    """Segmentation map of a picture, checked against it.

    Args:
        picture: named in the error.
        size: (height, width) of the picture; None before it is loaded.
        path: its segmentation map.
        num_classes: as in :func:`check_segmentation_map`; None if nobody knows.
        first_label: as there.
        max_pixels: limit of height times width; a map may always be as large as its picture.

    Returns:
        (H, W) int32, as in the file.

    Raises:
        UserError: see :func:`read_segmentation_map` and :func:`check_segmentation_map`; or its size is not the
            picture's.
    """
    seg_map = read_segmentation_map(path, max(max_pixels, size[0] * size[1]) if size else max_pixels)
    if size is not None:
        check_size(picture, size, path, seg_map)
    if num_classes is not None:
        check_segmentation_map(path, seg_map, num_classes, first_label)
    return seg_map


def check_size(picture: str | Path, size: tuple[int, ...], path: str | Path, seg_map: np.ndarray) -> None:
    """A segmentation map has the size of its picture; arguments as of :func:`read_segmentation_map_of`.

    Raises:
        UserError: it has not.
    """
    if seg_map.shape != tuple(size):
        raise UserError(
            f'{path} is {seg_map.shape[1]} x {seg_map.shape[0]} px, its picture {picture} {size[1]} x {size[0]} px. '
            'Both must have one size; do both come from the same release? Leave out such pairs with '
            f'{command("prepare-data")} own FOLDER'
        )


def to_class_indices(seg_map: np.ndarray, first_label: int) -> np.ndarray:
    """Classes counted from 0, unlabelled pixels 255: (H, W) uint8.

    Args:
        seg_map: (H, W) that passed :func:`check_segmentation_map`.
        first_label: as there.
    """
    if first_label == 0:
        return seg_map.astype(np.uint8)
    return np.where(seg_map == 0, UNLABELLED, seg_map - 1).astype(np.uint8)


def class_numbers(dataset_meta: Mapping[str, Any]) -> np.ndarray:
    """(256,) uint8: for every number in segmentation maps its class index, 255 where it means none.

    Args:
        dataset_meta: as of :func:`to_segmentation_map`.
    """
    chosen = np.arange(256, dtype=np.uint8)
    for old, new in (dataset_meta.get('label_map') or {}).items():
        chosen[old] = new
    return chosen[to_class_indices(np.arange(256), first_label_of(dataset_meta))]


def to_segmentation_map(indices: np.ndarray, dataset_meta: Mapping[str, Any]) -> np.ndarray:
    """Class indices as segmentation maps of the data set number them: (H, W) uint8.

    Args:
        indices: (H, W), classes counted from 0.
        dataset_meta: ``reduce_zero_label`` and, where a config chose some of the classes, ``label_map``.
    """
    return file_numbers(dataset_meta)[indices]


def file_numbers(dataset_meta: Mapping[str, Any]) -> np.ndarray:
    """(256,) uint8: for every class index its number in segmentation maps."""
    indices = np.arange(256)
    for old, new in (dataset_meta.get('label_map') or {}).items():
        if new != UNLABELLED:
            indices[new] = old
    return (indices + first_label_of(dataset_meta)).astype(np.uint8)


def first_label_of(dataset_meta: Mapping[str, Any]) -> int:
    """1 where label 0 of the files means unlabelled, else 0."""
    return int(bool(dataset_meta.get('reduce_zero_label')))
