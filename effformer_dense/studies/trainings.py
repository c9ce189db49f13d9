"""Trainings of studies: segmentors, each trained once and scored, where that was not done before."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..engine.runner import evaluate, train
from ..files import write_text
from ..options import ConfigOptions, EvaluationOptions, TrainOptions

METRIC = 'mIoU'
_WARM_UP = 30  # iterations
_FEW = (
    'dataset.shapes.splits.training=8',
    'dataset.shapes.splits.validation=4',
    'dataset.shapes.size_px=64',
    'num_workers=0',
    'persistent_workers=False',
)
#: Overrides by which a training on the shapes is one of moments, for studies that are only tried.
FEW_SHAPES = tuple(f'{split}_dataloader.{option}' for split in ('train', 'val', 'test') for option in _FEW)


@dataclass(frozen=True)
class Training:
    """One training of one network.

    Attributes:
        name: of what is compared; of the folder, with the seed.
        config: of the task with its network.
        seed: of all that is drawn.
        overrides: of the config.
        data_root: of the pictures.
    """

    name: str
    config: Path
    seed: int
    overrides: tuple[str, ...]
    data_root: Path

    def home(self, folder: Path) -> Path:
        """Folder of all that it leaves."""
        name = re.sub(r'\W+', '_', self.name)  # commas would part what an override says of it
        return folder / 'trainings' / f'{name}_{self.seed}'

    def place(self, folder: Path) -> Path:
        """File of the score."""
        return self.home(folder) / 'score.json'

    def options(self, folder: Path) -> ConfigOptions:
        """What the commands would be told."""
        work_dir = self.home(folder) / 'work'
        return ConfigOptions(self.config, self.overrides, work_dir=work_dir, data_root=self.data_root)


def length_of(iterations: int) -> tuple[str, ...]:
    """Overrides that make a training so long: the demo's schedule, warm-up included."""
    warm_up = max(2, min(_WARM_UP, iterations // 4))
    return (
        f'train_cfg.max_iters={iterations}',
        f'train_cfg.val_interval={iterations}',
        f'param_scheduler.0.end={warm_up}',
        f'param_scheduler.1.begin={warm_up}',
        f'param_scheduler.1.end={iterations}',
        f'default_hooks.checkpoint.interval={iterations}',
    )


def fit(training: Training, folder: Path) -> Path:
    """Train, or go on with it.

    Returns:
        The work dir.
    """
    options = training.options(folder)
    assert options.work_dir is not None
    return train(options, 'auto' if list(options.work_dir.glob('*.pth')) else None, TrainOptions(training.seed))


def drop_checkpoints(training: Training, folder: Path) -> None:
    """Remove what a training has saved: hundreds of MB in all, and its score is what was wanted."""
    for checkpoint in training.home(folder).glob('work/*.pth'):
        checkpoint.unlink()


def run_training(training: Training, folder: Path, keep: bool = False) -> Path:
    """Train and score, unless that was done.

    Args:
        training: what to do.
        folder: of the study.
        keep: the checkpoint.

    Returns:
        The work dir.
    """
    place = training.place(folder)
    if not place.exists():
        work_dir = fit(training, folder)
        scores = evaluate(training.options(folder), EvaluationOptions(work_dir))
        write_text(place, json.dumps(scores))
        if not keep:
            drop_checkpoints(training, folder)
        print(f'{training.name}, seed {training.seed}: {METRIC} {scores[METRIC]:.4f}', flush=True)
    return training.home(folder) / 'work'


def scores_of(folder: Path, trainings: Sequence[Training]) -> dict[str, list[float]]:
    """Scores of each network, seed by seed."""
    found: dict[str, list[float]] = {}
    for training in trainings:
        found.setdefault(training.name, []).append(json.loads(training.place(folder).read_text())[METRIC])
    return found
