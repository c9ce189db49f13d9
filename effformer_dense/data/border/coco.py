"""Across the border: a COCO table of any dialect becomes the one on which pycocotools, mmdet and this package agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...options import MAX_PIXELS
from .annotations import AnnotationOptions, clean_annotations
from .boxes import BoxFormat
from .categories import clean_categories
from .findings import Findings
from .image_records import ImageOptions, Progress, clean_images
from .picture_folder import PictureFolder
from .tables import check_tables, paused_collector

__all__ = ['MaskCount', 'clean_coco', 'count_masks']


def clean_coco(
    table: dict[str, Any],
    *,
    file: str,
    pictures: Path | None,
    findings: Findings,
    classes: Sequence[str] | None = None,
    opened: int | None = None,
    outside_root: bool = False,
    masks_from_boxes: bool = False,
    box_format: BoxFormat | None = None,
    max_pixels: int = MAX_PIXELS,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Make a canonical table of a COCO-like one.

    In the canonical table categories are numbered from 1 in class order; all ids are whole numbers and unique; pictures
    have the size of the decoded picture; annotations have ``id``, ``image_id``, ``category_id``, ``bbox`` (at least a
    pixel wide and high, inside the picture), ``area``, ``iscrowd``, and ``segmentation``: polygons inside the picture,
    run lengths of its size, or an empty list. Cleaning a canonical table changes nothing.

    Args:
        table: as :func:`.tables.read_table` reads it, or of a reader of another format. It is not changed; the result
            shares coordinates with it.
        file: how findings and errors call it.
        pictures: folder of the pictures; None if nobody knows: names and sizes are taken for right.
        findings: takes note of every record that is repaired, dropped or doubtful.
        classes: names in the order wanted; None for the file's own.
        opened: of how many pictures at least, spread over all, the header is read and the file looked through for
            damage; None for all. All are looked for, and where the file has no size it is read in any case.
        outside_root: let names and links of pictures lead out of their folder.
        masks_from_boxes: objects without a mask get their box as one.
        box_format: what the four numbers of a box are; None to judge by all of them.
        max_pixels: pictures of more pixels are left out.
        progress: is told now and then what is done, how many of them, and of how many.

    Returns:
        ``info``, ``licenses``, ``images``, ``annotations``, ``categories``.

    Raises:
        UserError: nothing sensible can be trained on it, or what it means cannot be told.
    """
    table = check_tables(table, file)
    folder = None if pictures is None else PictureFolder(pictures, outside_root)
    image_options = ImageOptions(opened, max_pixels, progress)
    options = AnnotationOptions(box_format, masks_from_boxes, progress)
    with paused_collector():
        kept = clean_images(table['images'], file, folder, findings, image_options)
        categories = clean_categories(table['categories'], table['annotations'], classes, file, findings)
        annotations = clean_annotations(table['annotations'], kept, categories, file, findings, options)
    return {
        'info': {},
        'licenses': [],
        'images': [picture.row() for picture in kept],
        'annotations': annotations,
        'categories': categories.rows,
    }


@dataclass(frozen=True)
class MaskCount:
    """How many objects of a canonical table have a mask. Heads with masks need all."""

    having: int
    lacking: int


def count_masks(table: dict[str, Any]) -> MaskCount:
    """Count the objects of a canonical table with and without a mask."""
    having = sum(1 for row in table['annotations'] if row['segmentation'])
    return MaskCount(having, len(table['annotations']) - having)
