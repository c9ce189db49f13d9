"""Scores of a study's nets, resampled."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from .evaluation import Contender, place_of, read_counts
from .settings import BASE_SIZE, Settings
from .statistics import resampled_miou

Size = tuple[int, int]


class Scores:
    """Resampled scores, read once each.

    Args:
        settings, folder: of the study.
        nets: *where* at 224 px of all that were trained, by seed.
    """

    def __init__(self, settings: Settings, folder: Path, nets: Mapping[int, float]) -> None:
        self.settings, self.folder, self.nets = settings, folder, nets
        self.seeds = [seed for seed, where in nets.items() if where >= settings.learned]
        self._known: dict[tuple, np.ndarray] = {}

    def at(self, contender: Contender, arm: str, size: Size, task: str = 'where') -> np.ndarray:
        """Shape (resamples + 1,), all data first."""
        key = contender, arm, size, task
        if key not in self._known:
            counts = read_counts(self.folder, self.seeds, contender, arm, size)
            self._known[key] = resampled_miou(counts, task, self.settings.resamples)
        return self._known[key]

    def over_arm(self, contender: Contender, arm: str) -> np.ndarray:
        """Mean over the sizes that nets were not trained at."""
        sizes = [size for size in self.settings.sizes if size != BASE_SIZE]
        return np.mean([self.at(contender, arm, size) for size in sizes], axis=0)

    def has_tuned(self, contender: Contender) -> bool:
        """Whether all nets have been fine-tuned with a contender."""
        size = self.settings.tuned_size
        return all(place_of(self.folder, seed, contender, 'canvas', size).exists() for seed in self.seeds)


def best_modes(scores: Scores, count: int = 3) -> list[str]:
    """Those to fine-tune: by *where* over the canvas arm, without what can be no contender."""
    modes = [mode for mode in scores.settings.modes if mode not in ('matrix', 'zero')]
    return sorted(modes, key=lambda mode: -scores.over_arm(Contender(mode), 'canvas')[0])[:count]


def tuned_contenders(scores: Scores) -> list[Contender]:
    """Those to fine-tune, with no steps so far: the best three modes, two to compare with, and the best with means."""
    best = best_modes(scores)
    return [*(Contender(mode) for mode in (*best, 'zero', 'matrix')), Contender(best[0], talking='mean')]
