"""Means with bootstrap intervals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Estimate:
    """A mean, and the interval that holds it in 95 % of the resamples."""

    mean: float
    low: float
    high: float

    @classmethod
    def of(cls, value: float, resampled: np.ndarray) -> Estimate:
        low, high = np.quantile(resampled, [0.025, 0.975])
        return cls(float(value), float(low), float(high))

    @property
    def verdict(self) -> int:
        """Of a difference: 1 above 0, -1 below, 0 neither."""
        return int(self.low > 0) - int(self.high < 0)


def estimate(values: np.ndarray) -> Estimate:
    """Of an array that begins with the value of all data, and goes on with those of resamples."""
    return Estimate.of(values[0], values[1:])
