"""IoU and accuracy of semantic segmentation, counted in whole pixels over a whole data set.

For each class, over all pictures: IoU = correct / (annotated + predicted - correct), accuracy = correct / annotated;
mIoU and mAcc are means over classes, aAcc is all correct over all annotated pixels. Unlabelled pixels count nowhere, on
neither side. A class that neither side contains has no IoU and is left out of the mean; one that is only predicted has
IoU 0 and no accuracy. These are the rules of mmseg's ``IoUMetric`` (``mmseg/evaluation/metrics/iou_metric.py``); the
counts here are integers and nothing is rounded, so that scores of two programs can be compared to the last digit.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import UserError


@dataclass(frozen=True)
class PixelCounts:
    """Pixels per class, summed over pictures.

    Attributes:
        correct: (K,) int64, predicted as what they are.
        annotated: (K,) int64.
        predicted: (K,) int64, among the annotated pixels.
    """

    correct: np.ndarray
    annotated: np.ndarray
    predicted: np.ndarray

    @classmethod
    def of_picture(cls, prediction: np.ndarray, annotation: np.ndarray, num_classes: int) -> PixelCounts:
        """Counts of one picture.

        Args:
            prediction: (H, W) integers; anything outside 0 to ``num_classes - 1`` is no class and only misses.
            annotation: (H, W) integers; anything outside 0 to ``num_classes - 1`` is unlabelled and ignored.
            num_classes: K.
        """
        labelled = (annotation >= 0) & (annotation < num_classes)
        predicted, annotated = prediction[labelled], annotation[labelled]

        def count(labels: np.ndarray) -> np.ndarray:
            return np.bincount(labels[(labels >= 0) & (labels < num_classes)], minlength=num_classes)

        return cls(count(annotated[annotated == predicted]), count(annotated), count(predicted))

    @classmethod
    def total(cls, counts: Iterable[PixelCounts], num_classes: int) -> PixelCounts:
        """Sum over pictures."""
        sums = np.zeros((3, num_classes), np.int64)
        for one in counts:
            sums += (one.correct, one.annotated, one.predicted)
        return cls(*sums)


@dataclass(frozen=True)
class Scores:
    """Scores of a data set, as fractions of 1.

    Attributes:
        classes: (K,) names.
        labels: (K,) their numbers in segmentation maps.
        counts: pixels they follow from.
        num_pictures: how many pictures were counted.
    """

    classes: Sequence[str]
    labels: Sequence[int]
    counts: PixelCounts
    num_pictures: int

    @property
    def iou(self) -> np.ndarray:
        """(K,) float64; nan for a class on neither side."""
        correct, annotated, predicted = self.counts.correct, self.counts.annotated, self.counts.predicted
        return _ratio(correct, annotated + predicted - correct)

    @property
    def accuracy(self) -> np.ndarray:
        """(K,) float64; nan for a class that is annotated nowhere."""
        return _ratio(self.counts.correct, self.counts.annotated)

    @property
    def num_left_out(self) -> int:
        """Classes that neither side contains, which the mean of the IoU leaves out."""
        return int(np.isnan(self.iou).sum())

    @property
    def num_annotated(self) -> int:
        """Classes that are annotated somewhere, over which the mean of the accuracy goes."""
        return int((self.counts.annotated > 0).sum())

    def summary(self) -> dict[str, float]:
        """mIoU, mAcc and aAcc.

        Raises:
            UserError: no pixel is annotated, so that there is no score.
        """
        annotated = self.counts.annotated.sum()
        if annotated == 0:
            raise UserError(
                f'None of the {self.num_pictures} annotations has a labelled pixel, so there is nothing to score. '
                'Are these the annotations of this data set, numbered as its classes are?'
            )
        return {
            'mIoU': float(np.nanmean(self.iou)),
            'mAcc': float(np.nanmean(self.accuracy)),
            'aAcc': float(self.counts.correct.sum() / annotated),
        }


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0)
