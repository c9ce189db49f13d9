"""Segmentation data in place and whole: pictures and segmentation maps of one size and of known classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..config.datasets import DatasetView
from ..config.nodes import walk
from ..data.pictures import read_picture
from ..data.segmentation_maps import first_label_of, read_segmentation_map_of
from ..errors import UserError, some_of
from ..files import names_below

#: How many pairs of a data set are opened; of all, only the names are looked at.
OPENED_PAIRS = 200


def check_segmentation_maps(dataset: DatasetView) -> None:
    """Every picture of a data set has its segmentation map, and a sample of them can be used.

    Raises:
        UserError: see :func:`pairs_of` and :func:`check_pairs`.
    """
    pairs = pairs_of(dataset)
    count = len(dataset.file_classes) if dataset.file_classes else None
    check_pairs(pairs, count, first_label_of(dataset.metainfo), OPENED_PAIRS)


def pairs_of(dataset: DatasetView) -> list[tuple[Path, Path]]:
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
            f'{", ".join(other) or "none"}. Mend data_prefix.img_path or img_suffix of the data set.'
        )
    if listing is None:
        check_no_orphans(maps, dataset.map_suffix, stems)
    return [(pictures / f'{stem}{suffix}', maps / f'{stem}{dataset.map_suffix}') for stem in stems]


def check_no_orphans(maps: Path, map_suffix: str, stems: Sequence[str]) -> None:
    """No segmentation map is without its picture: scores would silently be those of a part of the data set.

    Raises:
        UserError: one is.
    """
    found = names_below(maps, map_suffix)
    orphans = sorted(set(found) - {f'{stem}{map_suffix}' for stem in stems})
    if orphans:
        some = some_of(orphans, 3)
        raise UserError(
            f'{len(orphans)} of {len(found)} segmentation maps in {maps} have no picture: {some}. Complete the '
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
            if step.get('type') == 'LoadSegmentationMap' and step.get('num_classes') != count:
                raise UserError(
                    f'{path}: num_classes is {step.get("num_classes")}, and the segmentation maps of '
                    f'{dataset.type_name} have {count} classes. Set it to {count}.'
                )


def check_pairs(pairs: Sequence[tuple[Path, Path]], num_classes: int | None, first_label: int, num_opened: int) -> int:
    """All pairs of picture and segmentation map are there, and a sample of them can be used.

    Args:
        pairs: paths.
        num_classes, first_label: see :func:`check_pair`.
        num_opened: about how many are opened.

    Returns:
        How many were opened.

    Raises:
        UserError: a file is missing; or see :func:`check_pair`.
    """
    absent = [path for pair in pairs for path in pair if not path.is_file()]
    if absent:
        names = some_of(absent, 3)
        raise UserError(
            f'{len(pairs)} pictures in {pairs[0][0].parent} and their segmentation maps in {pairs[0][1].parent} '
            f'belong together by name; {len(absent)} files are missing: {names}. Complete the folders, or mend '
            'their names.'
        )
    sample = pairs[:: max(1, len(pairs) // num_opened)]
    for picture, map_file in sample:
        check_pair(picture, map_file, num_classes, first_label)
    return len(sample)


def check_pair(picture: Path, map_file: Path, num_classes: int | None, first_label: int) -> None:
    """One picture and its segmentation map.

    Args:
        picture: encoded picture.
        map_file: PNG.
        num_classes: number of classes that the file can name; None if nobody knows.
        first_label: see :func:`.data.segmentation_maps.check_segmentation_map`.

    Raises:
        UserError: broken, of two sizes, or with a label of no class.
    """
    read_segmentation_map_of(picture, read_picture(picture).shape[:2], map_file, num_classes, first_label)
