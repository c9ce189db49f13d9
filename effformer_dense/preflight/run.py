"""The order of the checks before long work: arguments, data, model, pretrained weights."""

from __future__ import annotations

from collections.abc import Sequence

from mmengine.config import Config

from ..config.datasets import datasets_of
from ..errors import UserError
from ..tasks import task_of_dataset
from .arguments import check_arguments
from .data import check_classes, check_evaluator, check_folders, check_generated
from .model import check_backbone, check_num_classes
from .values import check_together, check_values


def check_config(cfg: Config, splits: Sequence[str]) -> None:
    """Check the config itself: nothing is missing and nothing is misspelt.

    Args:
        cfg: config with absolute data paths (:func:`..config.load.load_config`).
        splits: the splits that will be read, of 'train', 'val' and 'test'.

    Raises:
        UserError: anything wrong, with the value and the way out.
    """
    check_parts(cfg, ('model', *(f'{split}_dataloader' for split in splits if split != 'val')))
    check_arguments(cfg)
    check_values(cfg)
    check_together(cfg)
    datasets = {split: datasets_of(cfg, split) for split in ('train', 'val', 'test')}
    for split in splits:
        for dataset in datasets[split]:
            check_classes(dataset)
            task = task_of_dataset(dataset)
            if task is not None:
                task.check_pipelines(dataset, {'pipeline': dataset.pipeline, 'tta_pipeline': cfg.get('tta_pipeline')})
            check_num_classes(cfg.model, dataset)
    check_generated(datasets)


def check_run(cfg: Config, splits: Sequence[str]) -> None:
    """Check what the config refers to: folders and files, and the model with its pretrained weights.

    Args:
        cfg: config that passed :func:`check_config`.
        splits: the splits that will be read.

    Raises:
        UserError: anything wrong, with the value and the way out.
        MissingFileError: pretrained weights are neither cached nor downloadable.
    """
    for split in splits:
        for dataset in datasets_of(cfg, split):
            check_folders(dataset)
        if split != 'train':
            check_evaluator(cfg.get(f'{split}_evaluator'), f'{split}_evaluator')
    check_backbone(cfg.model, with_weights='train' in splits)


def check_parts(cfg: Config, keys: Sequence[str]) -> None:
    """Check that the config has the parts that every run needs.

    Raises:
        UserError: a part is missing.
    """
    for key in keys:
        if not cfg.get(key):
            raise UserError(f'The config has no {key}. Is {cfg.filename} one of the bases, to be built on?')
