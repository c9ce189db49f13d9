"""Scoring a folder of segmentation maps against a folder of annotations, without any model.

Classes begin at 1 on both sides, as in ADE20K's SceneParsing benchmark, unless another numbering is named.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from rich.progress import track

from ..data.segmentation_maps import UNLABELLED, check_segmentation_map, read_segmentation_map
from ..errors import MissingPackageError, UserError, some_of
from ..files import names_below
from ..options import MAX_PIXELS
from .numbering import Fits, Numbering, check_numbering, fits_of, total_fits
from .scores import PixelCounts, Scores


@dataclass(frozen=True)
class FolderScores:
    """What comparing two folders gives.

    Attributes:
        scores: of the predictions of all annotations.
        notes: what the reader of the scores should know besides.
    """

    scores: Scores
    notes: list[str]


def score_folders(
    predictions: Path,
    annotations: Path,
    classes: Sequence[str],
    numbering: Numbering | None = None,
    max_pixels: int = MAX_PIXELS,
) -> FolderScores:
    """Scores of the predictions of all annotated pictures.

    Args:
        predictions: folder of PNGs with the names of the annotations.
        annotations: folder of PNGs, searched to the bottom.
        classes: names, in the order of their numbers in the files.
        numbering: of the first class on both sides; None for 1 unless the files speak against it.
        max_pixels: largest map that is read.

    Raises:
        UserError: no classes, an empty or missing folder, predictions that are missing, folders that are numbered
            otherwise than said, or a file with colours, of another size, or with numbers that no class has.
    """
    if not classes:
        raise UserError('The list of classes is empty: one name per line is expected, in the order of their numbers.')
    names, extra = _names(predictions, annotations)
    taken = numbering or Numbering()

    def compare(name: str) -> _Comparison:
        return _compare(predictions / name, annotations / name, len(classes), taken, max_pixels)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = list(track(pool.map(compare, names), total=len(names), description='Scoring', transient=True))
    zeros = {predictions / name: one.zeros for name, one in zip(names, results, strict=True) if one.zeros}
    notes = check_numbering(numbering, total_fits(result.fits for result in results), zeros)
    both_zero = sum(result.both_zero for result in results)
    if numbering is None and both_zero:
        notes.append(
            f'0 stands in {both_zero:,} pixels of both predictions and annotations, taken as unlabelled and not '
            f'scored. If it is the first class: {Numbering(0, 0).option}.'
        )
    if extra:
        notes.append(f'{len(extra)} predictions have no annotation and were not scored: {", ".join(extra[:3])}')
    counts = PixelCounts.total((result.counts for result in results), len(classes))
    numbers = range(taken.annotations, len(classes) + taken.annotations)
    return FolderScores(Scores(classes, numbers, counts, len(names)), notes)


def read_class_names(path: Path) -> list[str]:
    """Class names, one per line.

    Raises:
        UserError: the file is missing or has no names.
    """
    try:
        names = [line.strip() for line in path.read_text(encoding='utf-8').splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UserError(
            f'Class names {path} cannot be read: {reason}. A text file is expected, one name per line.'
        ) from error
    if not names:
        raise UserError(f'{path} has no class names: one per line is expected, in the order of their numbers.')
    return names


def ade20k_classes() -> Sequence[str]:
    """The 150 names of ADE20K, as mmsegmentation has them.

    Raises:
        ImportError: mmsegmentation is not installed.
    """
    try:
        from mmseg.utils import ade_classes
    except ImportError as error:
        raise MissingPackageError(
            'The names of the 150 classes come from mmsegmentation, which does not import here: '
            f'{error}. Install it, or name a file of class names: --classes FILE.'
        ) from error
    return ade_classes()


def _names(predictions: Path, annotations: Path) -> tuple[list[str], list[str]]:
    """Names of the annotations, and of predictions without one."""
    for what, folder in (('predictions', predictions), ('annotations', annotations)):
        if folder.is_file():
            raise UserError(f'{folder} is a file; the folder of the {what} is expected.')
        if not folder.is_dir():
            raise UserError(f'The folder of {what}, {folder}, does not exist.')
    wanted, there = (names_below(folder, '.png') for folder in (annotations, predictions))
    if not wanted:
        raise UserError(f'{annotations} holds no annotations (*.png). Is it the folder of the pictures?')
    missing = sorted(set(wanted) - set(there))
    if missing:
        some = some_of(missing, 3)
        raise UserError(
            f'{len(missing)} of {len(wanted)} annotations have no prediction of their name in {predictions}: {some}. '
            f'{_other_files(predictions)}Predict them too, or put those that are to count into a folder of their own.'
        )
    return wanted, sorted(set(there) - set(wanted))


def _other_files(folder: Path) -> str:
    kinds = sorted({p.suffix or p.name for p in folder.rglob('*') if p.is_file()} - {'.png'})
    return f'It holds files of kind {", ".join(kinds)}; segmentation maps are .png. ' if kinds else ''


@dataclass(frozen=True)
class _Comparison:
    """One picture: its counts, and signs of another numbering.

    Attributes:
        counts: under the numbering that was taken.
        fits: under all that are possible.
        zeros: annotated pixels predicted as 0 although classes are counted from 1.
        both_zero: pixels that are 0 on both sides although classes are counted from 1.
    """

    counts: PixelCounts
    fits: Fits
    zeros: int
    both_zero: int


def _compare(
    prediction_file: Path, annotation_file: Path, num_classes: int, numbering: Numbering, max_pixels: int
) -> _Comparison:
    prediction = read_segmentation_map(prediction_file, max_pixels)
    annotation = read_segmentation_map(annotation_file, max_pixels)
    if prediction.shape != annotation.shape:
        sizes = [f'{seg_map.shape[1]} x {seg_map.shape[0]}' for seg_map in (prediction, annotation)]
        raise UserError(
            f'{prediction_file} is {sizes[0]} px, its annotation {annotation_file} {sizes[1]} px. Predictions must '
            'have the size of the picture: enlarge the logits, then take the best class.'
        )
    check_segmentation_map(annotation_file, annotation, num_classes, numbering.annotations)
    check_segmentation_map(prediction_file, prediction, num_classes, numbering.predictions)
    labelled = annotation != numbering.unlabelled
    missing = int((prediction[labelled] == UNLABELLED).sum()) if numbering.predictions == 0 else 0
    if missing:
        raise UserError(
            f'{prediction_file}: label {UNLABELLED}, which is no class, in {missing:,} annotated pixels. Every pixel '
            'that is scored needs a class. Are the two folders swapped?'
        )
    from_one = numbering.predictions == 1
    counts = PixelCounts.of_picture(
        prediction - numbering.predictions, annotation - numbering.annotations, num_classes
    )  # what is unlabelled becomes -1 or stays 255, and both are no class
    return _Comparison(
        counts,
        fits_of(prediction, annotation, num_classes),
        zeros=int((prediction[labelled] == 0).sum()) if from_one else 0,
        both_zero=int((prediction[~labelled] == 0).sum()) if from_one and numbering.annotations == 1 else 0,
    )
