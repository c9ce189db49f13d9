"""Segmentation data in place and whole: pictures and segmentation maps of one size and of known classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..config.datasets import DatasetView
from ..config.nodes import walk
from ..data.border.findings import Findings
from ..data.border.pairs import Pair, turn_of
from ..data.headers import BrokenPictureError
from ..data.pictures import read_picture
from ..data.resizing import kind_of
from ..data.segmentation_maps import check_segmentation_map, check_size, read_segmentation_map
from ..errors import UserError, some_of
from ..files import names_below
from ..invocation import command
from ..options import MAX_PIXELS


def pairs_of(dataset: DatasetView) -> list[Pair]:
    """Picture and segmentation map of every name that a data set has.

    Raises:
        UserError: there are no pictures, or maps that no picture has.
    """
    pictures, maps = dataset.folders['img_path'], dataset.folders['seg_map_path']
    suffix, listing = dataset.picture_suffix, dataset.annotation
    if listing is not None and listing.is_file():
        stems = [line.strip() for line in listing.read_text().splitlines() if line.strip()]
    else:
        stems = [name[: len(name) - len(suffix)] for name in names_below(pictures, suffix)]
    if not stems:
        other = sorted({p.suffix for p in pictures.rglob('*') if p.is_file()})
        raise UserError(
            f'{listing or pictures} names no pictures *{suffix}; there are files of kind '
            f'{", ".join(other) or "none"}. Mend data_prefix.img_path or img_suffix of the data set; or leave the '
            f'names to {command("prepare-data")} own FOLDER'
        )
    if listing is None:
        check_no_orphans(maps, dataset.map_suffix, stems, pictures)
    return [(pictures / f'{stem}{suffix}', maps / f'{stem}{dataset.map_suffix}') for stem in stems]


def check_no_orphans(maps: Path, map_suffix: str, stems: Sequence[str], pictures: Path) -> None:
    """No segmentation map is without its picture: scores would silently be those of a part of the data set.

    Args:
        maps, map_suffix: folder, and how the names in it end.
        stems: of the pictures.
        pictures: their folder.

    Raises:
        UserError: one is.
    """
    found = names_below(maps, map_suffix)
    orphans = sorted(set(found) - {f'{stem}{map_suffix}' for stem in stems})
    if orphans:
        some = some_of(orphans, 3)
        hint = _hint([pictures / orphan[: len(orphan) - len(map_suffix)] for orphan in orphans])
        raise UserError(
            f'{len(orphans)} of {len(found)} segmentation maps in {maps} have no picture: {some}.{hint} Complete the '
            'pictures, or list the names that count in a text file: ann_file of the data set.'
        )


def check_map_loading(dataset: DatasetView, pipelines: Mapping[str, Any]) -> None:
    """``LoadSegmentationMap`` of a data set's pipelines expects as many classes as its segmentation maps have.

    Raises:
        UserError: it does not.
    """
    if not dataset.file_classes:
        return
    count = len(dataset.file_classes)
    for name, pipeline in pipelines.items():
        for path, step in walk(pipeline, name):
            if kind_of(step) == 'LoadSegmentationMap' and step.get('num_classes') != count:
                raise UserError(
                    f'{path}: num_classes is {step.get("num_classes")}, and the segmentation maps of '
                    f'{dataset.type_name} have {count} classes. Set it to {count}.'
                )


def check_there(pairs: Sequence[Pair]) -> None:
    """All pictures and segmentation maps are there.

    Raises:
        UserError: a file is not.
    """
    absent = [path for pair in pairs for path in pair if not path.is_file()]
    if not absent:
        return
    raise UserError(
        f'{len(pairs)} pictures in {pairs[0][0].parent} and their segmentation maps in {pairs[0][1].parent} belong '
        f'together by name; {len(absent)} files are missing: {some_of(absent, 3)}.{_hint(absent)} Complete the '
        f'folders, or mend their names; other endings are paired by {command("prepare-data")} own FOLDER'
    )


def _hint(absent: Sequence[Path]) -> str:
    """A file whose name differs from one that is missing in case or ending alone."""
    for path in absent:
        beside = sorted(path.parent.iterdir()) if path.parent.is_dir() else []
        near = next((one.name for one in beside if one.stem.lower() == path.stem.lower()), None)
        if near is not None:
            return f' {path.parent} has {near}, and names must agree to the letter.'
    return ''


def spread(pairs: Sequence[Pair], count: int) -> tuple[list[Pair], list[Pair]]:
    """About ``count`` pairs, spread over all; and the others, whose beginning is spread, too."""
    step = max(1, len(pairs) // count)
    parts = [list(pairs[start::step]) for start in range(step)]
    return parts[0], [pair for part in parts[1:] for pair in part]


def check_pairs(pairs: Sequence[Pair], num_classes: int | None, first_label: int, num_opened: int) -> int:
    """All pairs of picture and segmentation map are there, and a sample of them can be used.

    Args:
        pairs: paths.
        num_classes, first_label: see :func:`read_pair`.
        num_opened: about how many are opened.

    Returns:
        How many were opened.

    Raises:
        UserError: see :func:`check_there` and :func:`read_pair`.
    """
    check_there(pairs)
    sample, _ = spread(pairs, num_opened)
    for pair in sample:
        read_pair(pair, num_classes, first_label, Findings())
    return len(sample)


def read_pair(
    pair: Pair, num_classes: int | None, first_label: int, findings: Findings, max_pixels: int = MAX_PIXELS
) -> np.ndarray:
    """The segmentation map of a pair, after both files have been decoded and compared.

    Args:
        pair: picture and map.
        num_classes: number of classes that the file can name; None if nobody knows.
        first_label: see :func:`.data.segmentation_maps.check_segmentation_map`.
        findings: takes note of a map of which nobody can tell how it lies on its picture.
        max_pixels: of each.

    Returns:
        (H, W) int32, as in the file.

    Raises:
        UserError: broken, of two sizes, not turned as its picture is, or with a label of no class.
    """
    picture, map_file = pair
    size = read_picture(picture, max_pixels).shape[:2]
    seg_map = read_segmentation_map(map_file, max_pixels)
    _check_turn(pair, findings, max_pixels)
    check_size(picture, size, map_file, seg_map)
    if num_classes is not None:
        check_segmentation_map(map_file, seg_map, num_classes, first_label)
    return seg_map


def _check_turn(pair: Pair, findings: Findings, max_pixels: int) -> None:
    try:
        turn = turn_of(pair, findings, max_pixels)
    except BrokenPictureError:
        return  # both can be decoded: their sizes differ, for which there are other words
    if turn > 1:
        raise UserError(
            f'{pair[1]} was drawn on {pair[0].name} as it is stored, and decoders turn that picture by its EXIF '
            f'orientation, {turn}. Maps are turned with their pictures by {command("prepare-data")} own FOLDER'
        )
