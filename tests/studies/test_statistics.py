"""Intervals and the rule of decision, on numbers of which the answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from effformer_dense.studies.estimates import Estimate, estimate
from effformer_dense.studies.resolution.scenes import FIRST_TARGET, NUM_CLASSES
from effformer_dense.studies.resolution.statistics import decide, miou, resampled_miou


def _counts(seeds: int, pictures: int, correct: float) -> np.ndarray:
    rng = np.random.default_rng(0)
    annotated = rng.integers(50, 100, (seeds, pictures, NUM_CLASSES))
    return np.stack([(annotated * correct).round(), annotated, annotated], axis=2)


def test_miou_is_that_of_the_definition() -> None:
    counts = np.zeros((3, NUM_CLASSES))
    counts[:, FIRST_TARGET] = 10, 20, 30  # IoU 10 / 40
    counts[:, FIRST_TARGET + 1] = 5, 5, 5
    assert miou(counts, 'where') == pytest.approx((0.25 + 1) / 2)  # the third does not occur


def test_interval_holds_the_mean_and_pairs_are_narrower() -> None:
    rng = np.random.default_rng(1)
    easy = rng.uniform(0.2, 0.9, (4, 10, 1))
    worse, better = _counts(4, 10, 1.0), _counts(4, 10, 1.0)
    worse[:, :, 0], better[:, :, 0] = worse[:, :, 1] * easy, better[:, :, 1] * (easy + 0.05)
    a, b = (resampled_miou(counts, 'where', 300) for counts in (worse, better))
    alone, difference = estimate(a), estimate(b - a)
    assert alone.low < alone.mean < alone.high and difference.verdict == 1
    assert difference.high - difference.low < 0.3 * (alone.high - alone.low)


WIN, LOSS, DRAW = Estimate(0.1, 0.05, 0.2), Estimate(-0.1, -0.2, -0.05), Estimate(0.0, -0.1, 0.1)


@pytest.mark.parametrize(
    ('clamp', 'log', 'mode'),
    [
        ((WIN, DRAW), (WIN, LOSS), 'clamp'),
        ((WIN, LOSS), (DRAW, DRAW), 'bicubic'),
        ((WIN, WIN), (Estimate(0.3, 0.2, 0.4), DRAW), 'log'),
        ((DRAW, WIN), (DRAW, DRAW), 'bicubic'),
    ],
)
def test_rule(clamp: tuple, log: tuple, mode: str) -> None:
    arms = lambda pair: dict(zip(('canvas', 'spread'), pair, strict=True))  # noqa: E731
    scales = {name: arms((WIN, DRAW) if name == 'log' else (WIN, LOSS)) for name in ('bicubic', 'clamp', 'log')}
    decision = decide({'clamp': arms(clamp), 'log': arms(log)}, scales, scales, 'bicubic')
    assert decision.talking == ('mean' if mode == 'log' else 'sum')
    assert decision.mode == mode and decision.scale == ('log_tokens' if mode == 'log' else None)
    assert ('Use decides' in decision.reason) == (clamp == (WIN, LOSS))
