"""Segmentation data in place and whole: pictures with label files, of one size, with labels that mean something."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..config.datasets import DatasetView
from ..config.nodes import walk
from ..data.labels import first_label_of, read_labels_of
from ..data.pictures import read_picture
from ..errors import UserError
from ..files import names_below

#: How many pairs of a data set are opened; of all, only the names are looked at.
OPENED_PAIRS = 200


def check_label_files(dataset: DatasetView) -> None:
    """Every picture of a data set has its label file, and a sample of them can be used.

    Raises:
        ValueError: see :func:`check_pairs`; or there are no pictures.
    """
    pictures, labels = dataset.folders['img_path'], dataset.folders['seg_map_path']
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
        check_no_orphans(labels, dataset.map_suffix, stems)
    pairs = [(pictures / f'{stem}{suffix}', labels / f'{stem}{dataset.map_suffix}') for stem in stems]
    count = len(dataset.file_classes) if dataset.file_classes else None
    check_pairs(pairs, count, first_label_of(dataset.metainfo), OPENED_PAIRS)


def check_no_orphans(labels: Path, label_suffix: str, stems: Sequence[str]) -> None:
    """No label file is without its picture: scores would silently be those of a part of the data set.

    Raises:
        ValueError: one is.
    """
    found = names_below(labels, label_suffix)
    orphans = sorted(set(found) - {f'{stem}{label_suffix}' for stem in stems})
    if orphans:
        some = ', '.join(orphans[:3]) + (', ...' if len(orphans) > 3 else '')
        raise UserError(
            f'{len(orphans)} of {len(found)} label files in {labels} have no picture: {some}. Complete the pictures, '
            'or list the names that count in a text file: ann_file of the data set.'
        )


def check_num_labels(dataset: DatasetView, pipelines: Mapping[str, Any]) -> None:
    """``LoadLabels`` of a data set's pipelines expects as many classes as its label files have.

    Raises:
        ValueError: it does not.
    """
    if not dataset.file_classes:
        return
    count = len(dataset.file_classes)
    for name, pipeline in pipelines.items():
        for path, step in walk(pipeline, name):
            if step.get('type') == 'LoadLabels' and step.get('num_labels') != count:
                raise UserError(
                    f'{path}: num_labels is {step.get("num_labels")}, and the label files of {dataset.type} have '
                    f'{count} classes. Set it to {count}.'
                )


def check_pairs(pairs: Sequence[tuple[Path, Path]], num_labels: int | None, first_label: int, num_opened: int) -> int:
    """All pairs of picture and label file are there, and a sample of them can be used.

    Args:
        pairs: paths.
        num_labels, first_label: see :func:`check_pair`.
        num_opened: about how many are opened.

    Returns:
        How many were opened.

    Raises:
        ValueError: a file is missing; or see :func:`check_pair`.
    """
    absent = [path for pair in pairs for path in pair if not path.is_file()]
    if absent:
        names = ', '.join(map(str, absent[:3])) + (', ...' if len(absent) > 3 else '')
        raise UserError(
            f'{len(pairs)} pictures in {pairs[0][0].parent} and their labels in {pairs[0][1].parent} belong together '
            f'by name; {len(absent)} files are missing: {names}. Complete the folders, or mend their names.'
        )
    sample = pairs[:: max(1, len(pairs) // num_opened)]
    for picture, label_file in sample:
        check_pair(picture, label_file, num_labels, first_label)
    return len(sample)


def check_pair(picture: Path, label_file: Path, num_labels: int | None, first_label: int) -> None:
    """One picture and its label file.

    Args:
        picture: encoded picture.
        label_file: PNG.
        num_labels: number of classes that the file can name; None if nobody knows.
        first_label: see :func:`.data.labels.check_labels`.

    Raises:
        ValueError: broken, of two sizes, or with a label of no class.
    """
    read_labels_of(picture, read_picture(picture).shape[:2], label_file, num_labels, first_label)
