"""Segmentation maps for a run: read as they are, or refused; what is odd about them is told."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from ..config.datasets import DatasetView
from ..data.border.findings import Action, Findings
from ..data.border.labels import Labels, Palettes, check_labels
from ..data.border.pairs import Pair
from ..data.finding import PICTURE_SUFFIXES
from ..data.headers import read_header
from ..data.resizing import check_resized
from ..data.segmentation_maps import UNLABELLED, class_numbers, first_label_of, read_segmentation_map_of
from ..errors import UserError, some_of
from ..files import names_below
from ..invocation import command
from ..tasks import Reading
from ..variants import MIN_SIDE_PX
from .checks import check_there, pairs_of, read_pair, spread

#: How many pairs are opened; of all, only the names are looked at.
OPENED_PAIRS = 200

#: While a class was not seen yet, all maps are read if they are of so many pixels: some seconds.
FEW_PIXELS = 200_000_000


def fit_maps(dataset: DatasetView, reading: Reading, findings: Findings) -> None:
    """Look through the segmentation maps of a data set before a run: a sample of them, each once.

    More are read in two cases: before the sample alone would be a reason to refuse all, and to find classes that it
    lacks, where that takes seconds. That a class is in no map is told only where all were read: of ADE20K's 150, a
    sample always lacks some.

    Args:
        dataset: with folders of pictures and of maps.
        reading: what the run does with it.
        findings: takes note of what is odd.

    Raises:
        UserError: see :func:`.checks.pairs_of`, :func:`.checks.check_there` and :func:`.checks.read_pair`; resizing
            leaves too little of a picture; nothing is labelled, all that is trained on is of one class, or the maps are
            masks of 0 and 255.
    """
    pairs = pairs_of(dataset)
    check_there(pairs)
    _tell_other_endings(dataset, reading, findings)
    pixels, looked_at = _count_pixels(dataset, pairs, reading, findings)
    values = np.flatnonzero(pixels).tolist()
    all_maps = looked_at == len(pairs)
    maps = f'{looked_at:,} maps' if all_maps else f'{looked_at:,} of {len(pairs):,} maps'
    if values == [0, UNLABELLED] and first_label_of(dataset.metainfo) == 0 and len(dataset.file_classes or ()) > 1:
        first, second = (dataset.file_classes or ())[:2]
        raise UserError(
            f'{dataset.folders["seg_map_path"]}: {maps} have the values 0 and 255 alone. 255 is unlabelled, so every '
            f'pixel that counts is {first!r}, and any model would score 100 %. If 255 stands for {second!r}: write 1 '
            f'in its place, or let {command("prepare-data")} own FOLDER do that.'
        )
    classes = dataset.classes or ()
    per_class = _per_class(dataset, pixels)[: len(classes)].tolist()
    labels = Labels(classes, per_class, some_of(values, 8), maps, all_maps)
    check_labels(labels, findings, scored=reading.evaluator is not None)


def _count_pixels(
    dataset: DatasetView, pairs: Sequence[Pair], reading: Reading, findings: Findings
) -> tuple[np.ndarray, int]:
    """How many pixels have each value, (256,); and of how many maps."""
    count, first = len(dataset.file_classes or ()), first_label_of(dataset.metainfo)
    pixels, palettes = np.zeros(256, np.int64), Palettes()
    sample, others = spread(pairs, OPENED_PAIRS)
    for done, pair in enumerate([*sample, *others]):
        if done < len(sample):
            seg_map = read_pair(pair, count, first, findings, reading.max_pixels)
            least = 1 if reading.evaluator is None else MIN_SIDE_PX  # what is learned from is padded
            check_resized(pair[0], dataset.pipeline, seg_map.shape[1], seg_map.shape[0], least)
        elif _is_decided(dataset, pixels, done, len(pairs)):
            return pixels, done
        else:
            seg_map = read_segmentation_map_of(pair[0], None, pair[1], count, first, reading.max_pixels)
        found = np.bincount(seg_map.ravel(), minlength=256)
        palettes.look(str(pair[1]), read_header(pair[1], seg_map.size), np.flatnonzero(found).tolist(), findings)
        if found[0 if first else UNLABELLED] == seg_map.size:
            findings.add(Action.DOUBTFUL, 'map without labels', str(pair[1]), '', 'every pixel is unlabelled')
        pixels += found
        if reading.progress is not None and done % 10 == 0:
            reading.progress('maps read', done, len(sample) if done < len(sample) else len(pairs))
    return pixels, len(pairs)


def _is_decided(dataset: DatasetView, pixels: np.ndarray, looked_at: int, total: int) -> bool:
    """Whether more maps would tell nothing that is worth the time."""
    num_classes = len(dataset.classes or ())
    seen = np.count_nonzero(_per_class(dataset, pixels)[:num_classes])
    is_quick = pixels.sum() / looked_at * total <= FEW_PIXELS
    return seen >= (num_classes if is_quick else min(2, num_classes))


def _per_class(dataset: DatasetView, pixels: np.ndarray) -> np.ndarray:
    """(256,): pixels of every class of the config, from those of every value."""
    return np.bincount(class_numbers(dataset.metainfo), weights=pixels, minlength=256).astype(np.int64)


def _tell_other_endings(dataset: DatasetView, reading: Reading, findings: Findings) -> None:
    """mmseg finds pictures by one ending: of .jpg and .JPG, it reads one and says nothing of the other.

    Raises:
        UserError: such pictures have maps and should be scored.
    """
    if dataset.annotation is not None and dataset.annotation.is_file():
        return
    folder, suffix = dataset.folders['img_path'], dataset.picture_suffix
    others = [
        name
        for name in names_below(folder, '')
        if not name.endswith((suffix, dataset.map_suffix)) and Path(name).suffix.lower() in PICTURE_SUFFIXES
    ]
    if not others:
        return
    maps = {name.lower() for name in names_below(dataset.folders['seg_map_path'], '')}
    left_out = [name for name in others if f'{PurePosixPath(name).with_suffix("")}{dataset.map_suffix}'.lower() in maps]
    if left_out and reading.evaluator is not None:
        raise UserError(
            f'{folder}: {len(left_out):,} pictures do not end in {suffix}, as the data set wants it, and scores would '
            f'silently be those of the others: {some_of(left_out, 3)}. Rename them; or leave the names to '
            f'{command("prepare-data")} own FOLDER'
        )
    for name in left_out:
        findings.add(
            Action.DROPPED, 'picture of another ending', str(folder / name), '', f'the data set reads *{suffix}'
        )
