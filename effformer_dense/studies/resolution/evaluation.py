"""Scores of a study: pixel counts of every picture, written one file per net, contender, arm and size."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import nn

from ...deploy.fuse import fuse
from ...files import write_text
from ...segmentation.scores import PixelCounts
from .scenes import BASE_PX, CELL_PX, NUM_CLASSES, Scene, make_scene
from .settings import ARMS, BASE_SIZE, DEFAULT, SCALES, Settings
from .statistics import miou
from .training import build_net, fine_tune, logits, to_tensors, trained


@dataclass(frozen=True)
class Contender:
    """What is compared.

    Attributes:
        mode: of ``bias_resize``.
        scale: ``attention_scale``.
        tuned: steps of fine-tuning that it had.
        talking: ``talking_bias``.
    """

    mode: str
    scale: str | None = None
    tuned: int = 0
    talking: str = 'sum'

    @property
    def name(self) -> str:
        talking = None if self.talking == 'sum' else self.talking
        parts = (self.mode, self.scale, talking, f'tuned_{self.tuned}' if self.tuned else None)
        return '+'.join(part for part in parts if part)


def contenders(settings: Settings) -> list[Contender]:
    """Those that are not tuned: each mode as published, and with one other choice.

    Without a bias to resize, only one scale is of interest.
    """
    found = []
    for mode in settings.modes:
        scales = SCALES if mode != 'zero' else (None,)
        found += [Contender(mode, scale) for scale in scales]
        found.append(Contender(mode, talking='mean'))
    return found


def place_of(folder: Path, seed: int, contender: Contender, arm: str, size: tuple[int, int]) -> Path:
    return folder / f'seed_{seed}' / f'{arm}_{size[0]}x{size[1]}_{contender.name}.json'


def train_net(settings: Settings, seed: int, folder: Path) -> float:
    """Train a net at 224 px, unless that was done.

    Returns:
        mIoU of *where* at that size.
    """
    contender, arm = Contender(DEFAULT), ARMS[0]
    place = place_of(folder, seed, contender, arm, BASE_SIZE)
    if not place.exists():
        score(settings, _trained_net(settings, folder, seed, contender), place, arm, BASE_SIZE)
    counts = read_counts(folder, [seed], contender, arm, BASE_SIZE)
    return float(miou(counts.sum(axis=(0, 1)), 'where'))


def evaluate_untuned(settings: Settings, folder: Path, seed: int, contender: Contender) -> None:
    """Evaluate a trained net at every size of both arms, except where that was done."""
    cases = [(arm, size, place_of(folder, seed, contender, arm, size)) for arm in ARMS for size in settings.sizes]
    if all(place.exists() for _, _, place in cases):
        return
    net = _trained_net(settings, folder, seed, contender)
    for arm, size, place in cases:
        score(settings, net, place, arm, size)


def evaluate_tuned(settings: Settings, folder: Path, seed: int, contender: Contender) -> None:
    """Fine-tune a net, and evaluate it on the canvas that it was tuned on, unless all of that was done."""
    size = settings.tuned_size
    places = {
        steps: place_of(folder, seed, replace(contender, tuned=steps), 'canvas', size) for steps in settings.tuned_steps
    }
    if all(place.exists() for place in places.values()):
        return
    net = _trained_net(settings, folder, seed, contender)
    fine_tune(settings, seed, net, lambda steps: score(settings, net, places[steps], 'canvas', size))


def _trained_net(settings: Settings, folder: Path, seed: int, contender: Contender) -> nn.Module:
    net = build_net(settings, contender.mode, contender.scale, contender.talking)
    net.load_state_dict(trained(settings, seed, folder / f'seed_{seed}'))
    return net


@torch.no_grad()
def score(settings: Settings, net: nn.Module, place: Path, arm: str, size: tuple[int, int]) -> None:
    """Write ``[[correct, annotated, predicted], ...]``, one entry per picture, each a list over classes."""
    if place.exists():
        return
    net = fuse(net)
    counts = []
    for index in range(settings.scenes(arm, size)):
        images, labels = to_tensors([held_out_scene(index, arm, size)])
        found = PixelCounts.of_picture(logits(net, images).max(1).indices.numpy(), labels.numpy(), NUM_CLASSES)
        counts.append([part.tolist() for part in (found.correct, found.annotated, found.predicted)])
    write_text(place, json.dumps(counts))
    print(place.relative_to(place.parents[1]), flush=True)


@cache  # contenders are shown the same: 150 MB in all
def held_out_scene(index: int, arm: str, size: tuple[int, int]) -> Scene:
    """The same for every net and contender; portrait is landscape transposed."""
    height, width = size
    if height > width:
        turned = held_out_scene(index, arm, (width, height))
        return Scene(turned.image.transpose(1, 0, 2).copy(), turned.labels.T.copy())
    if arm == 'canvas':
        return make_scene(0, 'test', index, size)
    return make_scene(0, 'test', index, size, CELL_PX * max(1.0, height / BASE_PX))


def read_counts(
    folder: Path, seeds: Sequence[int], contender: Contender, arm: str, size: tuple[int, int]
) -> np.ndarray:
    """Shape (seeds, pictures, 3, classes)."""
    places = [place_of(folder, seed, contender, arm, size) for seed in seeds]
    return np.array([json.loads(place.read_text()) for place in places])
