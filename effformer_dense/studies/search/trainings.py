"""Networks of a study, each trained alone and scored."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mmengine.config import Config

from ...engine.runner import evaluate, train
from ...files import write_text
from ...options import ConfigOptions, EvaluationOptions, TrainOptions
from ...rows import to_arch
from ...search.result import set_widths
from ...search.space import State

METRIC = 'mIoU'
_WARM_UP = 30  # iterations


@dataclass(frozen=True)
class Training:
    """One training of one network.

    Attributes:
        name: of the network; of the folder, with the seed.
        config: of the task with this network.
        seed: of all that is drawn.
        overrides: of the config.
        data_root: of the pictures.
    """

    name: str
    config: Path
    seed: int
    overrides: tuple[str, ...]
    data_root: Path

    def place(self, folder: Path) -> Path:
        """File of the score."""
        return folder / 'trainings' / f'{self.name.replace(" ", "_")}_{self.seed}' / 'score.json'


def config_of(task: Config, state: State, place: Path) -> Path:
    """Write the task's config with a state's network, with weights that were not trained."""
    cfg = task.copy()
    cfg.model.backbone.arch = to_arch(state.row)
    set_widths(cfg.model, state.row.widths)
    cfg.pop('search', None)
    write_text(place, cfg.pretty_text)
    return place


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


def run_training(training: Training, folder: Path) -> None:
    """Train and score, unless that was done."""
    place = training.place(folder)
    if place.exists():
        return
    work_dir = place.parent / 'work'
    options = ConfigOptions(training.config, training.overrides, work_dir=work_dir, data_root=training.data_root)
    train(options, 'auto' if list(work_dir.glob('*.pth')) else None, TrainOptions(training.seed))
    scores = evaluate(options, EvaluationOptions(work_dir))
    write_text(place, json.dumps(scores))
    for checkpoint in work_dir.glob('*.pth'):
        checkpoint.unlink()  # hundreds of MB in all, and the score is what was wanted
    print(f'{training.name}, seed {training.seed}: {METRIC} {scores[METRIC]:.4f}', flush=True)


def scores_of(folder: Path, trainings: Sequence[Training]) -> dict[str, list[float]]:
    """Scores of each network, seed by seed."""
    found: dict[str, list[float]] = {}
    for training in trainings:
        found.setdefault(training.name, []).append(json.loads(training.place(folder).read_text())[METRIC])
    return found
