"""Random numbers that follow from the seed and from where a training is, so that none have to be saved.

The generators are seeded anew for each iteration and for each sample. What is drawn is then the same whatever was drawn
before: in a run that was resumed, with any number of loading processes, and with or without validation in between.
"""

from __future__ import annotations

import random

import numpy as np
import torch
from mmengine.dist import get_rank
from mmengine.hooks import Hook

#: First part of a place, so that no iteration draws what a sample draws.
ITERATION, SAMPLE = 0, 1


def seed_generators(seed: int, *place: int) -> None:
    """Seed the global generators of Python, numpy and torch.

    Args:
        seed: of the run.
        place: whole numbers of 0 or more. Places that differ anywhere have streams that have nothing in common
            (``numpy.random.SeedSequence``), which seeds that differ by one do not promise.
    """
    words = np.random.SeedSequence(seed, spawn_key=place).generate_state(6)
    random.seed(words.tobytes())
    np.random.seed(words[:4])
    number = int(words[4]) << 32 | int(words[5])
    # torch.manual_seed would note a traceback each time, for a GPU that may come later.
    torch.default_generator.manual_seed(number)
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(number)


class RandomnessHook(Hook):
    """Seed what the model draws (drop path, dropout, sampled proposals) before each iteration.

    Args:
        seed: of the run, the same in all processes; each of them draws its own numbers.
    """

    priority = 'VERY_HIGH'

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def before_train_iter(self, runner, batch_idx: int, data_batch=None) -> None:
        seed_generators(self.seed, ITERATION, get_rank(), runner.iter)
