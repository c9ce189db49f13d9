"""A data set of segmentation maps, looked through."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from ..config.datasets import DatasetView
from ..data.pictures import read_picture
from ..data.segmentation_maps import UNLABELLED, class_numbers, first_label_of, read_segmentation_map_of
from ..data.survey import Survey
from ..drawing import colours_of
from ..errors import UserError
from ..options import MAX_PIXELS
from ..results.overlays import overlay
from .checks import pairs_of

#: A picture shows a class if so much of it does, unless none shows more of it.
_VISIBLE_SHARE = 0.02
#: How many segmentation maps are read at most; all pictures of a large data set would take minutes.
MAX_READ = 1000


def survey_maps(dataset: DatasetView, max_read: int = MAX_READ, max_pixels: int = MAX_PIXELS) -> Survey:
    """Look through the segmentation maps of a data set, or as many of them, spread evenly.

    Args:
        dataset: whose folders are there.
        max_read: how many maps are read at most.
        max_pixels: largest picture that is read.

    Raises:
        UserError: no pictures, or a map that cannot be used.
    """
    classes = dataset.classes
    if not classes or dataset.file_classes is None:
        raise UserError(f'{dataset.type_name} has no list of classes. Name them: metainfo=dict(classes=[...]).')
    pairs = pairs_of(dataset)
    step = -(-len(pairs) // max_read)
    read = pairs[::step]
    sizes, shares, unlabelled = _measure(dataset, read, max_pixels)
    colours = colours_of(dataset.metainfo.get('palette'), len(classes))

    def draw(index: int, height: int, width: int) -> np.ndarray:
        picture, map_file = read[index]
        image = Image.fromarray(np.ascontiguousarray(read_picture(picture, max_pixels)[..., ::-1]))
        seg_map = Image.fromarray(_class_indices(dataset, picture, map_file, max_pixels))
        image.thumbnail((width, height))
        small = np.asarray(seg_map.resize(image.size, Image.Resampling.NEAREST))
        return overlay(np.asarray(image), small, colours)

    notes = [f'{len(read):,} of {len(pairs):,} pictures were looked at, spread evenly.'] if step > 1 else []
    return Survey(
        classes=classes,
        palette=colours,
        unit='pictures',
        counts=np.array([len(by_picture) for by_picture in shares]),
        shown_in=[_visible(by_picture) for by_picture in shares],
        num_pictures=len(read),
        sizes=np.array(sizes),
        boxes=None,
        box_pictures=None,
        name=lambda index: read[index][0].name,
        draw=draw,
        notes=[*notes, f'{100 * unlabelled:.1f} % of the pixels have no class.'],
    )


def _measure(
    dataset: DatasetView, pairs: Sequence[tuple[Path, Path]], max_pixels: int
) -> tuple[list[tuple[int, ...]], list[dict[int, float]], float]:
    """Read maps: size of each; per class, which share of which picture it has; share of all pixels without a class."""
    shares: list[dict[int, float]] = [{} for _ in dataset.classes or ()]
    sizes, unlabelled = [], 0
    for index, (picture, map_file) in enumerate(pairs):
        seg_map = _class_indices(dataset, picture, map_file, max_pixels)
        sizes.append(seg_map.shape)
        pixels = np.bincount(seg_map.ravel(), minlength=256)
        unlabelled += int(pixels[UNLABELLED])
        for label in np.flatnonzero(pixels[: len(shares)]):
            shares[label][index] = pixels[label] / seg_map.size
    return sizes, shares, unlabelled / sum(height * width for height, width in sizes)


def _visible(shares: dict[int, float]) -> list[int]:
    """Pictures of which a class has a share that can be seen; all that have any, if there are none."""
    return [index for index, share in shares.items() if share >= _VISIBLE_SHARE] or list(shares)


def _class_indices(dataset: DatasetView, picture: Path, map_file: Path, max_pixels: int) -> np.ndarray:
    first = first_label_of(dataset.metainfo)
    seg_map = read_segmentation_map_of(picture, None, map_file, len(dataset.file_classes or ()), first, max_pixels)
    return class_numbers(dataset.metainfo)[seg_map]
