"""mIoU with bootstrap intervals, paired differences, and the rule of decision."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from ..estimates import Estimate
from .scenes import FIRST_TARGET, NUM_CLASSES

#: Classes of the two questions.
TASKS = {'what': slice(1, FIRST_TARGET), 'where': slice(FIRST_TARGET, NUM_CLASSES)}
_SEED = 0


def miou(counts: np.ndarray, task: str) -> np.ndarray:
    """Mean IoU over a question's classes that occur.

    Args:
        counts: (..., 3, classes) of correct, annotated and predicted pixels.
        task: key of :data:`TASKS`.

    Returns:
        Shape (...).
    """
    correct, annotated, predicted = np.moveaxis(counts[..., TASKS[task]].astype(float), -2, 0)
    union = annotated + predicted - correct
    with np.errstate(invalid='ignore', divide='ignore'):
        iou = np.where(annotated > 0, correct / union, np.nan)
    return np.nanmean(iou, axis=-1)


def resampled_miou(counts: np.ndarray, task: str, resamples: int) -> np.ndarray:
    """mIoU of seeds drawn with replacement, and of pictures drawn so for each: shape (resamples + 1,), all data first.

    Equal shapes are drawn alike: differences of two such arrays are paired.

    Args:
        counts: (seeds, pictures, 3, classes).
        task: key of :data:`TASKS`.
        resamples: how many.
    """
    seeds, pictures = counts.shape[:2]
    rng = np.random.default_rng(_SEED)
    weights = np.ones((resamples + 1, seeds, pictures))
    for number in range(1, resamples + 1):
        drawn = rng.integers(seeds, size=seeds)
        weights[number] = 0
        for seed in drawn:
            weights[number, seed] += np.bincount(rng.integers(pictures, size=pictures), minlength=pictures)
    sums = np.einsum('rsp,spkc->rkc', weights, counts.astype(float))
    return miou(sums, task)


@dataclass(frozen=True)
class Decision:
    """What the rule says.

    Attributes:
        mode: the default.
        scale: the default.
        talking: what our configs for larger pictures should name.
        reason: in a sentence.
        verdicts: ``'mode arm'`` to 1 (wins), -1 (loses) or 0.
    """

    mode: str
    scale: str | None
    talking: str
    reason: str
    verdicts: dict[str, int]


def decide(
    to_default: Mapping[str, Mapping[str, Estimate]],
    of_scale: Mapping[str, Mapping[str, Estimate]],
    of_mean: Mapping[str, Mapping[str, Estimate]],
    default: str,
) -> Decision:
    """The rule of :mod:`.settings`.

    Args:
        to_default: mode to arm to the difference to the default of today; without the default itself, and without what
            can be no default.
        of_scale: mode, the default included, to arm to the difference of ``log_tokens`` to None.
        of_mean: likewise, ``talking_bias='mean'`` to ``'sum'``.
        default: of today.
    """
    verdicts = {f'{mode} {arm}': found.verdict for mode, arms in to_default.items() for arm, found in arms.items()}
    winners = [mode for mode in to_default if verdicts[f'{mode} canvas'] > 0 and verdicts[f'{mode} spread'] >= 0]
    mixed = [mode for mode in to_default if verdicts[f'{mode} canvas'] * verdicts[f'{mode} spread'] < 0]
    mode = max(winners, key=lambda mode: to_default[mode]['canvas'].mean, default=default)
    if winners:
        reason = f'{mode} wins the canvas arm and does not lose the spread arm.'
    elif mixed:
        reason = f'Use decides: {", ".join(mixed)} win one arm and lose the other.'
    else:
        reason = 'No contender wins an arm without losing the other.'
    scale = 'log_tokens' if _helps(of_scale[mode].values()) else None
    return Decision(mode, scale, 'mean' if _helps(of_mean[mode].values()) else 'sum', reason, verdicts)


def _helps(differences: Iterable[Estimate]) -> bool:
    """Whether one arm is won and none is lost."""
    verdicts = [difference.verdict for difference in differences]
    return max(verdicts) > 0 and min(verdicts) >= 0
