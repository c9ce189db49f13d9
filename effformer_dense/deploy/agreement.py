"""How far what an exported file gives is from what PyTorch gives, and whether that is near enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..runtime.sessions import Arrays

#: Detections of lower scores are not matched: near the threshold of the test config, they come and go by rounding.
COMPARED_SCORE = 0.3


@dataclass(frozen=True)
class Limits:
    """What counts as agreeing, by the precision of a file.

    Attributes:
        worst: largest deviation of a value in a map, in standard deviations of that map.
        mean: mean deviation, in the same unit.
        labels: smallest share of equal labels; one may differ in any case, where two classes are a digit apart.
        box_px: largest deviation of a box's side, in px; or where larger, ``box_share`` of the box's own longer side.
        box_share: see ``box_px``.
        score: largest deviation of a detection's score.
        detections: smallest share of detections that have a partner.
        masks: largest mean deviation of the masks of pairs, which are probabilities.
    """

    worst: float
    mean: float
    labels: float
    box_px: float
    box_share: float
    score: float
    detections: float
    masks: float


#: fp32 is PyTorch's own arithmetic in another order. In 16 bits a value keeps 3 (fp16) or 2 (bf16) digits.
LIMITS = {
    'fp32': Limits(1e-3, 2e-5, 0.9999, 0.01, 0.0, 1e-3, 0.99, 1e-3),
    'fp16': Limits(0.1, 5e-3, 0.99, 1.0, 0.02, 0.02, 0.9, 0.02),
    'bf16': Limits(0.5, 3e-2, 0.97, 2.0, 0.1, 0.1, 0.8, 0.1),
}


@dataclass(frozen=True)
class Agreement:
    """What was compared on one picture.

    Attributes:
        figures: what was measured, by output: ``stage4 worst`` and the like.
        faults: sentences about what lies outside the limits; empty if all agrees.
    """

    figures: dict[str, float]
    faults: tuple[str, ...]


def compare(expected: Arrays, found: Arrays, limits: Limits, noisy: Sequence[Arrays] = ()) -> Agreement:
    """Compare outputs of one picture.

    Whether a box is suppressed by another, or among the thousand best, can hang on the last digit of a score. So a
    detection that the file misses or adds is excused if PyTorch itself misses or adds it when the pixels change by
    next to nothing.

    Args:
        expected: by PyTorch, by name, see :class:`..runtime.metadata.Metadata`.
        found: by the file.
        limits: what counts as near enough.
        noisy: by PyTorch as well, of the same picture with noise that nobody would see.
    """
    if set(expected) != set(found):
        return Agreement({}, (f'outputs are {", ".join(found)} instead of {", ".join(expected)}',))
    if 'boxes' in expected:
        return _compare_detections(expected, found, limits, noisy)
    figures: dict[str, float] = {}
    faults: list[str] = []
    for name, array in expected.items():
        if array.shape != found[name].shape:
            faults.append(f'{name} has the shape {found[name].shape} instead of {array.shape}')
        elif array.dtype.kind == 'f':
            worst, mean = deviation(array, found[name])
            figures |= {f'{name} worst': worst, f'{name} mean': mean}
            if not (worst <= limits.worst and mean <= limits.mean):  # so that nan is a fault
                faults.append(f'{name} deviates by {worst:.2g} of its standard deviation, {mean:.2g} in the mean')
        else:
            others = int((array != found[name]).sum())
            figures[f'{name} equal'] = 1 - others / array.size
            if others > max(1, (1 - limits.labels) * array.size):
                faults.append(f'{others:,} of {array.size:,} {name} differ')
    return Agreement(figures, tuple(faults))


def deviation(expected: np.ndarray, found: np.ndarray) -> tuple[float, float]:
    """Largest and mean absolute deviation, in standard deviations of ``expected``."""
    wide = expected.astype(np.float64)
    off = np.abs(found - wide) / max(float(wide.std()), np.finfo(np.float32).tiny)
    return float(off.max()), float(off.mean())


def match_detections(expected: Arrays, found: Arrays, limits: Limits) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of detections that are the same, each of one and one.

    Args:
        expected: ``boxes`` (N, 4) in px, ``labels`` (N,), ``scores`` (N,).
        found: the same, of M detections.
        limits: how far members of a pair may be apart.

    Returns:
        Indices into ``expected`` and ``found``, by falling score of ``expected``; equally long.
    """
    pairs: list[tuple[int, int]] = []
    free = np.ones(len(found['scores']), bool)
    sides = np.abs(found['boxes'][None] - expected['boxes'][:, None]).max(-1, initial=0)  # (N, M)
    for index in np.argsort(-expected['scores'], kind='stable').tolist():
        x1, y1, x2, y2 = expected['boxes'][index]
        near = sides[index] <= max(limits.box_px, limits.box_share * float(max(x2 - x1, y2 - y1)))
        near &= np.abs(found['scores'] - expected['scores'][index]) <= limits.score
        near &= free & (found['labels'] == expected['labels'][index])
        if near.any():
            partner = int(np.where(near, sides[index], np.inf).argmin())
            free[partner] = False
            pairs.append((index, partner))
    ours, theirs = np.array(pairs, int).reshape(-1, 2).T
    return ours, theirs


def _compare_detections(expected: Arrays, found: Arrays, limits: Limits, noisy: Sequence[Arrays]) -> Agreement:
    """In both directions: what the file misses, and what it has in addition."""
    missed, total = unmatched(expected, found, limits)
    added, _ = unmatched(found, expected, limits)
    ours, theirs = match_detections(expected, found, limits)
    figures = {'detections': float(total), 'missed': float(len(missed)), 'added': float(len(added))}
    for name in ('boxes', 'scores', 'masks'):
        if name in expected and len(ours):
            figures[f'{name} worst'] = float(np.abs(expected[name][ours] - found[name][theirs]).max())
    for other in noisy:
        missed = np.setdiff1d(missed, unmatched(expected, other, limits)[0])  # noise loses it as well
        added = np.intersect1d(added, unmatched(found, other, limits)[0])  # noise brings it up as well
    figures['unexplained'] = float(len(missed) + len(added))
    allowed = (1 - limits.detections) * total
    faults = [
        f'{len(indices)} of {total} detections above {COMPARED_SCORE:g} {what}'
        for indices, what in ((missed, 'have no partner in the file'), (added, 'are in the file alone'))
        if len(indices) > allowed
    ]
    if 'masks' in expected and len(ours):
        figures['masks mean'] = float(np.abs(expected['masks'][ours] - found['masks'][theirs]).mean())
        if not figures['masks mean'] <= limits.masks:
            faults.append(f'masks deviate by {figures["masks mean"]:.2g} in the mean')
    return Agreement(figures, tuple(faults))


def unmatched(these: Arrays, others: Arrays, limits: Limits) -> tuple[np.ndarray, int]:
    """Detections above :data:`COMPARED_SCORE` without a partner among all the others, and how many there are above."""
    paired, _ = match_detections(these, others, limits)
    above = np.flatnonzero(these['scores'] > COMPARED_SCORE)
    return np.setdiff1d(above, paired), len(above)
