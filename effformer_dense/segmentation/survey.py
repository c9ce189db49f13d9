"""A data set of segmentation maps, looked through."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from ..config.datasets import DatasetView
from ..data.pictures import read_picture
from ..data.segmentation_maps import UNLABELLED, first_label_of, read_segmentation_map_of, to_class_indices
from ..data.survey import Survey
from ..drawing import colours_of
from ..errors import UserError
from .checks import pairs_of
from .draw import overlay

#: How many segmentation maps are read at most; all pictures of a large data set would take minutes.
MAX_READ = 1000


def survey_maps(dataset: DatasetView, max_read: int = MAX_READ) -> Survey:
    """Look through the segmentation maps of a data set, or as many of them, spread evenly.

    Raises:
        UserError: no pictures, or a map that cannot be used.
    """
    classes = dataset.classes
    if not classes or dataset.file_classes is None:
        raise UserError(f'{dataset.type_name} has no list of classes. Name them: metainfo=dict(classes=[...]).')
    pairs = pairs_of(dataset)
    step = -(-len(pairs) // max_read)
    read = pairs[::step]
    table = _lookup(dataset)
    counts = np.zeros(len(classes), int)
    shown_in: list[list[int]] = [[] for _ in classes]
    sizes, unlabelled = [], 0
    for index, (picture, map_file) in enumerate(read):
        seg_map = _class_indices(dataset, picture, map_file, table)
        sizes.append(seg_map.shape)
        pixels = np.bincount(seg_map.ravel(), minlength=256)
        unlabelled += int(pixels[UNLABELLED])
        for label in np.flatnonzero(pixels[: len(classes)]):
            counts[label] += 1
            shown_in[label].append(index)
    colours = colours_of(dataset.metainfo.get('palette'), len(classes))

    def draw(index: int, height: int, width: int) -> np.ndarray:
        picture, map_file = read[index]
        image = Image.fromarray(np.ascontiguousarray(read_picture(picture)[..., ::-1]))
        seg_map = Image.fromarray(_class_indices(dataset, picture, map_file, table))
        image.thumbnail((width, height))
        small = np.asarray(seg_map.resize(image.size, Image.Resampling.NEAREST))
        return overlay(np.asarray(image), small, colours)

    total = sum(height * width for height, width in sizes)
    notes = [f'{len(read):,} of {len(pairs):,} pictures were looked at, spread evenly.'] if step > 1 else []
    return Survey(
        classes=classes,
        palette=colours,
        unit='pictures',
        counts=counts,
        shown_in=shown_in,
        num_pictures=len(read),
        sizes=np.array(sizes),
        boxes=None,
        box_pictures=None,
        name=lambda index: read[index][0].name,
        draw=draw,
        notes=[*notes, f'{100 * unlabelled / total:.1f} % of the pixels have no class.'],
    )


def _lookup(dataset: DatasetView) -> np.ndarray:
    """(256,) uint8: index of a class of the config for every class of the files."""
    table = np.arange(256, dtype=np.uint8)
    for old, new in (dataset.metainfo.get('label_map') or {}).items():
        table[old] = new
    return table


def _class_indices(dataset: DatasetView, picture: Path, map_file: Path, table: np.ndarray) -> np.ndarray:
    first = first_label_of(dataset.metainfo)
    seg_map = read_segmentation_map_of(picture, None, map_file, len(dataset.file_classes or ()), first)
    return table[to_class_indices(seg_map, first)]
