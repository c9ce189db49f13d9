"""Scoring a folder of label PNGs against a folder of annotations, without any model.

Labels begin at 1 on both sides, as in ADE20K's SceneParsing benchmark; 0 in an annotation is unlabelled.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.progress import track

from ..data.labels import check_labels, read_labels
from ..errors import MissingPackageError, UserError
from ..files import names_below
from .scores import PixelCounts, Scores

FIRST_LABEL = 1

#: If so many more of the annotated pixels are right under another numbering, chance is no explanation.
SUSPICIOUS_GAIN = 0.1


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
    predictions: Path, annotations: Path, classes: Sequence[str], zero_based_predictions: bool = False
) -> FolderScores:
    """Scores of the predictions of all annotated pictures.

    Args:
        predictions: folder of PNGs with the names of the annotations.
        annotations: folder of PNGs, searched to the bottom.
        classes: names, in the order of their labels.
        zero_based_predictions: predictions are numbered from 0.

    Raises:
        ValueError: no classes, an empty or missing folder, predictions that are missing or numbered otherwise than
            said, or a file with colours, of another size, or with labels that no class has.
    """
    if not classes:
        raise UserError('The list of classes is empty: one name per line is expected, in the order of the labels.')
    names, extra = _names(predictions, annotations)

    def compare(name: str) -> _Comparison:
        return _compare(predictions / name, annotations / name, len(classes), zero_based_predictions)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = list(track(pool.map(compare, names), total=len(names), description='Scoring', transient=True))
    if zero_based_predictions and not any(result.has_zero for result in results):
        raise UserError(
            f'None of the {len(names)} predictions in {predictions} holds a 0, so they seem to be numbered from 1: '
            'leave --zero-based-predictions out.'
        )
    counts = PixelCounts.total((result.counts for result in results), len(classes))
    labels = range(FIRST_LABEL, len(classes) + FIRST_LABEL)
    notes = _numbering_notes(counts, sum(result.correct_if_shifted for result in results))
    if extra:
        notes.append(f'{len(extra)} predictions have no annotation and were not scored: {", ".join(extra[:3])}')
    return FolderScores(Scores(classes, labels, counts, len(names)), notes)


def read_class_names(path: Path) -> list[str]:
    """Class names, one per line.

    Raises:
        ValueError: the file is missing or has no names.
    """
    try:
        names = [line.strip() for line in path.read_text(encoding='utf-8').splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f'Class names {path} cannot be read: {error}') from error
    if not names:
        raise UserError(f'{path} has no class names: one per line is expected, in the order of the labels.')
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
        some = ', '.join(missing[:3]) + (', ...' if len(missing) > 3 else '')
        raise UserError(
            f'{len(missing)} of {len(wanted)} annotations have no prediction of their name in {predictions}: {some}. '
            f'{_other_files(predictions)}Predict them too, or put those that are to count into a folder of their own.'
        )
    return wanted, sorted(set(there) - set(wanted))


def _other_files(folder: Path) -> str:
    kinds = sorted({p.suffix for p in folder.rglob('*') if p.is_file()} - {'.png'})
    return f'It holds files of kind {", ".join(kinds)}; label files are .png. ' if kinds else ''


@dataclass(frozen=True)
class _Comparison:
    """One picture: its counts, and signs of another numbering."""

    counts: PixelCounts
    correct_if_shifted: int  # pixels that are right if predictions are numbered from 0
    has_zero: bool


def _compare(prediction_file: Path, annotation_file: Path, num_classes: int, zero_based: bool) -> _Comparison:
    prediction, annotation = read_labels(prediction_file), read_labels(annotation_file)
    if prediction.shape != annotation.shape:
        sizes = [f'{labels.shape[1]} x {labels.shape[0]}' for labels in (prediction, annotation)]
        raise UserError(
            f'{prediction_file} is {sizes[0]} px, its annotation {annotation_file} {sizes[1]} px. Predictions must '
            'have the size of the picture: enlarge the scores of the classes, not the labels, before choosing the best.'
        )
    check_labels(annotation_file, annotation, num_classes, FIRST_LABEL)
    check_labels(prediction_file, prediction, num_classes, 0 if zero_based else FIRST_LABEL)
    labelled = annotation > 0
    if not zero_based:
        _check_no_zeros(prediction_file, prediction[labelled])
    shifted = int((prediction + FIRST_LABEL == annotation)[labelled].sum())
    indices = prediction if zero_based else prediction - FIRST_LABEL
    counts = PixelCounts.of_picture(indices, annotation - FIRST_LABEL, num_classes)
    return _Comparison(counts, shifted, has_zero=bool((prediction == 0).any()))


def _check_no_zeros(path: Path, labelled: np.ndarray) -> None:
    """Every pixel that counts must be predicted as something; zeros mostly mean that classes were counted from 0."""
    zeros = int((labelled == 0).sum())
    if zeros:
        raise UserError(
            f'{path}: label 0 in {zeros:,} annotated pixels; labels go from 1 upwards. Are the two folders swapped? If '
            'these predictions count the classes from 0: --zero-based-predictions.'
        )


def _numbering_notes(counts: PixelCounts, correct_if_shifted: int) -> list[str]:
    """A note if the predictions fit much better when they are read as numbered from 0."""
    right, total = int(counts.correct.sum()), int(counts.annotated.sum())
    if correct_if_shifted - right < SUSPICIOUS_GAIN * total:
        return []
    return [
        f'ATTENTION: {right / total:.1%} of the pixels are right as they stand, {correct_if_shifted / total:.1%} if '
        'the predictions are numbered from 0. If they are: --zero-based-predictions.'
    ]
