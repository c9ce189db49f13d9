"""What a step of a search is worth."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

#: Of the Mobile Efficiency Score (arXiv 2212.08059, section 3.3): parameters in millions, latency in ms, memory in MiB.
#: Those of parameters and latency give the published rows the scores 102.9, 63.8, 30.5 and 12.6.
UNITS = {'params_m': 3.0, 'latency_ms': 1.0, 'memory_mib': 100.0}
EXPONENTS = {'params_m': 0.5, 'latency_ms': 1.0, 'memory_mib': 0.5}


def mobile_efficiency(
    metrics: Mapping[str, float],
    exponents: Mapping[str, float] = EXPONENTS,
    units: Mapping[str, float] = UNITS,
) -> float:
    """Mobile Efficiency Score: 100 times the product of (metric / unit) ** -exponent; larger is better."""
    return 100 * math.prod((value / units[name]) ** -exponents[name] for name, value in metrics.items())


@dataclass(frozen=True)
class Candidate:
    """A step that could be taken.

    Attributes:
        loss: of score, that it costs; below 0 where the score gets better.
        gain: in MES or ms, that it brings.
    """

    loss: float
    gain: float


def choose(candidates: Mapping[int, Candidate]) -> int:
    """Key of the step that costs the least per gain; all of them gain something.

    Of steps that cost nothing, the one that gains the most: which of them made the score a hair better is chance.
    """
    return min(candidates, key=lambda key: _order(candidates[key]))


def _order(candidate: Candidate) -> tuple[float, float]:
    return max(candidate.loss, 0.0) / candidate.gain, -candidate.gain
