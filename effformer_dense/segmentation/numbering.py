"""How two folders of segmentation maps number the classes, and which numbering would fit them better."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..data.segmentation_maps import UNLABELLED
from ..errors import UserError

#: If so many more of the annotated pixels are right under another numbering, chance is no explanation.
SUSPICIOUS_GAIN = 0.1


@dataclass(frozen=True)
class Numbering:
    """The number that the first class has in the files of either side, 0 or 1.

    Attributes:
        annotations: 1 where 0 means unlabelled, as in ADE20K; 0 where 255 does.
        predictions: of the maps that are scored.
    """

    annotations: int = 1
    predictions: int = 1

    @property
    def unlabelled(self) -> int:
        """What annotations have where nothing is annotated."""
        return 0 if self.annotations == 1 else UNLABELLED

    @property
    def option(self) -> str:
        """How the command line says it."""
        numbers = {self.annotations: None, self.predictions: None}  # one number where both are the same
        return f'--first-class {" ".join(map(str, numbers))}'


ALL = tuple(Numbering(annotations, predictions) for annotations in (1, 0) for predictions in (1, 0))


@dataclass(frozen=True)
class Fit:
    """How well predictions agree with annotations under some numbering.

    Attributes:
        right: annotated pixels that are predicted as what they are.
        annotated: annotated pixels.
    """

    right: int
    annotated: int

    @property
    def share(self) -> float:
        """Right pixels as a fraction of the annotated ones; 0 if there are none."""
        return self.right / self.annotated if self.annotated else 0.0


#: Numberings under which every value means something, and how well they fit.
Fits = Mapping[Numbering, Fit]


def fits_of(prediction: np.ndarray, annotation: np.ndarray, num_classes: int) -> dict[Numbering, Fit]:
    """Fits of one picture under the numberings that its two maps, (H, W) integers each, allow."""
    fits = {}
    for numbering in ALL:
        labelled = annotation != numbering.unlabelled
        truth, guess = annotation[labelled] - numbering.annotations, prediction[labelled] - numbering.predictions
        if all(side.size == 0 or (side.min() >= 0 and side.max() < num_classes) for side in (truth, guess)):
            fits[numbering] = Fit(int((truth == guess).sum()), truth.size)
    return fits


def total_fits(pictures: Iterable[Fits]) -> dict[Numbering, Fit]:
    """Fits of all pictures together under the numberings that every one of them allows."""
    pictures = list(pictures)
    return {
        numbering: Fit(sum(p[numbering].right for p in pictures), sum(p[numbering].annotated for p in pictures))
        for numbering in ALL
        if all(numbering in picture for picture in pictures)
    }


def check_numbering(numbering: Numbering | None, fits: Fits, zeros: Mapping[Path, int]) -> list[str]:
    """The two sides can be numbered as was said, or as is usual where nothing was.

    Args:
        numbering: what was said; None if nothing was.
        fits: of all pictures together.
        zeros: predictions that have 0 in annotated pixels although their classes are counted from 1, and how many.

    Returns:
        What the reader of the scores should know about the numbering.

    Raises:
        UserError: they cannot, or nothing was said and another numbering fits far better.
    """
    taken = numbering or Numbering()
    others = {other: fit for other, fit in fits.items() if other != taken}
    if zeros:
        path, count = next(iter(zeros.items()))
        ways_out = [_way_out(other, fit) for other, fit in others.items() if other.predictions == 0]
        raise UserError(
            f'{path}: label 0 in {count:,} annotated pixels; the classes of predictions are counted from 1. '
            + ' '.join(['Are the two folders swapped?', *ways_out])
        )
    share = fits[taken].share
    best, fit = max(others.items(), key=lambda item: item[1].share, default=(taken, fits[taken]))
    if fit.share - share < SUSPICIOUS_GAIN:
        return []
    message = f'{share:.1%} of the annotated pixels are right as they stand. {_way_out(best, fit)}'
    if numbering is None:
        raise UserError(f'{message} If they do not, say so: {taken.option}.')
    return [f'ATTENTION: {message}']


def _way_out(numbering: Numbering, fit: Fit) -> str:
    """What to say if the files are numbered so."""
    if numbering.annotations == numbering.predictions:
        who = f'both folders count the classes from {numbering.annotations}'
    else:
        who = f'annotations count the classes from {numbering.annotations}, predictions from {numbering.predictions}'
    return f'If {who} ({fit.share:.1%} of the pixels are right then): {numbering.option}.'
