"""What is told of the time that work still takes."""

from __future__ import annotations

import pytest

from effformer_dense.search.countdown import Countdown


@pytest.mark.parametrize(
    ('passed_s', 'share', 'told'),
    [
        (30, 0.5, ', about 30 s left'),
        (30, 0.2, ', about 2 min left'),
        (3600, 0.1, ', about 540 min left'),
        (5, 0.0, ''),
        (5, 1.0, ''),
        (5, -0.2, ''),
    ],
)
def test_time_left_follows_from_the_pace_so_far(passed_s: float, share: float, told: str) -> None:
    seconds = iter([100.0, 100.0 + passed_s])
    assert Countdown(lambda: next(seconds)).left(share) == told
