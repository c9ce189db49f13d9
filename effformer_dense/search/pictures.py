"""The pictures that states are scored on: the same for every state, on every process."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from mmengine.config import Config
from mmengine.registry import DATASETS, TRANSFORMS
from mmengine.runner import Runner, set_random_seed

from ..config.nodes import walk
from ..data.resizing import kind_of

#: Instead of a metric, the negative loss.
LOSS = 'loss'
#: Entries of data loaders that go with processes of their own, or with the order of whole trainings.
_REPLACED = (
    'num_workers',
    'persistent_workers',
    'prefetch_factor',
    'timeout',
    'multiprocessing_context',
    'sampler',
    'batch_sampler',
    'num_batch_per_epoch',
)

#: The ``data_preprocessor`` of a model: a batch and whether it is of training, to what the model takes.
Preprocessor = Callable[[Any, bool], dict]


@dataclass(frozen=True)
class Trial:
    """On what states are scored.

    Attributes:
        pictures: of the validation split, the first ones.
        batches: of the training split, for the statistics of norms.
        metric: end of a metric's name, or :data:`LOSS` for the negative loss; None for the usual one of the task.
        seed: of the training pictures' choice and augmentation.
    """

    pictures: int = 64
    batches: int = 4
    metric: str | None = None
    seed: int = 0


@dataclass(frozen=True)
class Pictures:
    """Preprocessed batches.

    Attributes:
        calibration: of the training split, as in training.
        validation: of the validation split.
        metainfo: of the validation data set.
    """

    calibration: list[dict]
    validation: list[dict]
    metainfo: Mapping[str, Any]


def load_pictures(cfg: Config, preprocess: Preprocessor, trial: Trial) -> Pictures:
    """Load what a trial asks for.

    Args:
        cfg: has ``train_dataloader`` and ``val_dataloader``.
        preprocess: of the model.
        trial: how much.
    """
    set_random_seed(trial.seed)
    training = _data_set(cfg.train_dataloader)
    wanted = trial.batches * cfg.train_dataloader.get('batch_size', 1)
    chosen = random.Random(trial.seed).sample(range(len(training)), min(wanted, len(training)))
    with _without_augments(preprocess):
        calibration = [preprocess(batch, True) for batch in _batches(cfg.train_dataloader, training, chosen)]
    loader = _boxes_resized(cfg.val_dataloader) if trial.metric == LOSS else cfg.val_dataloader
    held_out = _data_set(loader)
    first = range(min(trial.pictures, len(held_out)))
    validation = [preprocess(batch, False) for batch in _batches(loader, held_out, first)]
    return Pictures(calibration, validation, held_out.metainfo)


@contextmanager
def _without_augments(preprocess: Any) -> Iterator[None]:
    """Fill up pictures as in training, without what changes from batch to batch, which asks a running training."""
    usual = getattr(preprocess, 'batch_augments', None)
    if usual is not None:
        preprocess.batch_augments = None
    try:
        yield
    finally:
        if usual is not None:
            preprocess.batch_augments = usual


def _loads_boxes(step: Mapping[str, Any]) -> bool:
    is_loading = kind_of(step).endswith('LoadAnnotations')
    return is_loading and bool(getattr(TRANSFORMS.build(dict(step)), 'with_bbox', False))


def _data_set(loader: Mapping[str, Any]) -> Any:
    data_set = DATASETS.build(copy.deepcopy(loader['dataset']))
    if hasattr(data_set, 'full_init'):
        data_set.full_init()
    return data_set


def _batches(loader: Mapping[str, Any], data_set: Any, places: Sequence[int]) -> Iterator[Any]:
    """Batches of these entries, in this order: samplers would share them out among processes."""
    rest = {key: value for key, value in copy.deepcopy(dict(loader)).items() if key not in _REPLACED}
    yield from Runner.build_dataloader({**rest, 'dataset': data_set, 'sampler': places, 'num_workers': 0})


def _boxes_resized(loader: Mapping[str, Any]) -> dict[str, Any]:
    """A loader that reads boxes before it resizes pictures: metrics want them as annotated, losses like the picture."""
    changed = copy.deepcopy(dict(loader))
    for _, node in walk(changed['dataset']):
        steps = list(node.get('pipeline') or ())
        boxes = [step for step in steps if _loads_boxes(step)]
        if boxes:
            others = [step for step in steps if step not in boxes]
            node['pipeline'] = [*others[:1], *boxes, *others[1:]]
    return changed
