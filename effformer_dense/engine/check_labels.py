"""Segmentation data in place and whole: pictures with label files, of one size, with labels that mean something."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.registry import DATASETS

from ..data.labels import check_labels, read_labels
from ..data.pictures import read_picture
from .check_arguments import find_component

#: How many pairs of a data set are opened; of all, only the names are looked at.
_OPENED_PAIRS = 200


def check_label_files(dataset: dict, pictures: Path, labels: Path) -> None:
    """Every picture has its label file, and a sample of them can be used.

    Args:
        dataset: config of a data set of mmseg's kind, with ``img_suffix`` and ``seg_map_suffix``.
        pictures: folder of the pictures.
        labels: folder of the label files.

    Raises:
        ValueError: no pictures, a missing or broken file, colours instead of labels, a label of no class, or two sizes.
    """
    suffixes = [str(argument(dataset, name, '')) for name in ('img_suffix', 'seg_map_suffix')]
    pairs = _pairs(dataset, pictures, labels, *suffixes)
    absent = [path for pair in pairs for path in pair if not path.is_file()]
    if absent:
        names = ', '.join(map(str, absent[:3])) + (', ...' if len(absent) > 3 else '')
        raise ValueError(
            f'{len(pairs)} pictures in {pictures} and their labels in {labels} belong together by name; {len(absent)} '
            f'files are missing: {names}. Complete the folders, or mend data_prefix, img_suffix and seg_map_suffix.'
        )
    first_label = int(bool(argument(dataset, 'reduce_zero_label', False)))
    for picture, label_file in pairs[:: max(1, len(pairs) // _OPENED_PAIRS)]:
        check_pair(picture, label_file, num_file_labels(dataset), first_label)


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
    height, width = read_picture(picture).shape[:2]
    labels = read_labels(label_file)
    if labels.shape != (height, width):
        raise ValueError(
            f'{label_file} is {labels.shape[1]} x {labels.shape[0]} px, its picture {picture} {width} x {height} px. '
            'Picture and labels must have one size; do both come from the same release?'
        )
    if num_labels is not None:
        check_labels(label_file, labels, num_labels, first_label)


def argument(dataset: dict, name: str, default: Any) -> Any:
    """Argument of a data set: of its config, else the default of its class, else ``default``."""
    if name in dataset:
        return dataset[name]
    for cls in getattr(find_component(DATASETS, dataset.get('type')), '__mro__', ()):
        parameter = inspect.signature(cls.__init__).parameters.get(name) if '__init__' in vars(cls) else None
        if parameter is not None and parameter.default is not inspect.Parameter.empty:
            return parameter.default
    return default


def num_file_labels(dataset: dict) -> int | None:
    """How many classes the label files know: those of the data set's class, of which the config may choose some."""
    meta = getattr(find_component(DATASETS, dataset.get('type')), 'METAINFO', {})
    classes = meta.get('classes') or (dataset.get('metainfo') or {}).get('classes')
    return len(classes) if isinstance(classes, Sequence) and not isinstance(classes, str) else None


def _pairs(dataset: dict, pictures: Path, labels: Path, suffix: str, label_suffix: str) -> list[tuple[Path, Path]]:
    listing = Path(dataset.get('data_root') or '') / dataset['ann_file'] if dataset.get('ann_file') else None
    if listing is not None and listing.is_file():
        stems = [line.strip() for line in listing.read_text().splitlines() if line.strip()]
    else:
        found = sorted(p.relative_to(pictures).as_posix() for p in pictures.rglob(f'*{suffix}'))
        stems = [name[: len(name) - len(suffix)] for name in found]
    if not stems:
        other = sorted({p.suffix for p in pictures.rglob('*') if p.is_file()})
        raise ValueError(
            f'{listing if listing is not None else pictures} names no pictures *{suffix}; there are files of kind '
            f'{", ".join(other) or "none"}. Mend data_prefix.img_path or img_suffix of the data set.'
        )
    return [(pictures / f'{stem}{suffix}', labels / f'{stem}{label_suffix}') for stem in stems]
