"""All that is checked before any long work: arguments, data, the model itself, its pretrained weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mmengine.config import Config
from mmengine.registry import MODELS

from ..backbones.base import DenseBackbone
from ..checkpoint import match, take, weights_in
from .check_arguments import check_arguments
from .check_data import check_classes, check_dataset, check_evaluator, check_num_classes
from .check_labels import check_num_labels
from .datasets import leaf_datasets
from .weights import read_checkpoint


def check_run(cfg: Config, splits: Sequence[str]) -> None:
    """All checks for a run that reads the given data loaders.

    Args:
        cfg: config with absolute data paths (:func:`.config.load_config`).
        splits: of 'train', 'val' and 'test'.

    Raises:
        ValueError: anything wrong, with the value and the way out.
        FileNotFoundError: pretrained weights that are neither here nor to be downloaded.
    """
    check_parts(cfg, ('model', *(f'{split}_dataloader' for split in splits if split != 'val')))
    check_arguments(cfg)
    _check_one_spec_per_folder(cfg)
    for split in splits:
        loader = cfg.get(f'{split}_dataloader')
        for dataset in leaf_datasets(loader and loader.dataset):
            check_classes(dataset)
            check_num_labels(dataset, cfg.get('tta_pipeline'))
            check_dataset(dataset)
            check_num_classes(cfg.model, dataset)
        if split != 'train':
            check_evaluator(cfg.get(f'{split}_evaluator'), f'{split}_evaluator')
    check_backbone(cfg.model, with_weights='train' in splits)


def check_parts(cfg: Config, keys: Sequence[str]) -> None:
    """The config has the parts that a run cannot do without.

    Raises:
        ValueError: one is missing.
    """
    for key in keys:
        if not cfg.get(key):
            raise ValueError(f'The config has no {key}. Is {cfg.filename} one of the bases, to be built on?')


def check_backbone(model: dict, with_weights: bool) -> None:
    """The backbone can be built, the neck takes its channels, and its pretrained weights can be had and fit.

    Args:
        model: model config.
        with_weights: look at the pretrained weights too; ``timm://`` names are fetched now.

    Raises:
        ValueError: a wrong argument, channels that disagree, or weights that are missing, broken or do not fit.
        FileNotFoundError: ``timm://`` weights that are neither here nor to be downloaded.
    """
    if 'backbone' not in model:
        return
    backbone = MODELS.build(model['backbone'])
    if not isinstance(backbone, DenseBackbone):
        return
    channels = (model.get('neck') or {}).get('in_channels')
    if channels is not None and tuple(channels) != backbone.out_channels:
        raise ValueError(
            f'model.neck.in_channels is {list(channels)}, and {backbone.variant.name} gives '
            f'{list(backbone.out_channels)}. Set model.neck.in_channels=[{",".join(map(str, backbone.out_channels))}].'
        )
    init = model['backbone'].get('init_cfg')
    for part in init if isinstance(init, (list, tuple)) else filter(None, [init]):
        if with_weights and part.get('type') == 'Pretrained':
            _check_pretrained(backbone, str(part.get('checkpoint')), part.get('prefix'))


def _check_pretrained(backbone: DenseBackbone, source: str, prefix: str | None) -> None:
    """Pretrained weights can be had and fit, so that a misfit shows now."""
    if '://' not in source and not Path(source).is_file():
        raise ValueError(
            f'Pretrained weights {source} do not exist. Name a local file with --cfg-options '
            'model.backbone.init_cfg.checkpoint=FILE, or train without: --from-scratch.'
        )
    content = read_checkpoint(source)
    if prefix:
        prefix = prefix.rstrip('.') + '.'
        content = take(weights_in(content), prefix).backbone
        if not content:
            raise ValueError(f'{source} has no entries under the prefix {prefix!r} of init_cfg.')
    try:
        match(backbone, content)
    except ValueError as error:
        raise ValueError(f'{source}: {error}') from error


def _check_one_spec_per_folder(cfg: Config) -> None:
    """Splits of generated data that share a folder must agree on what is in it, or one would replace the other's."""
    seen: dict[str, object] = {}
    for split in ('train', 'val', 'test'):
        loader = cfg.get(f'{split}_dataloader')
        for dataset in leaf_datasets(loader and loader.dataset):
            root, spec = dataset.get('data_root'), dataset.get('shapes')
            if spec is not None and seen.setdefault(root, spec) != spec:
                raise ValueError(
                    f'{split}_dataloader.dataset.shapes is {dict(spec)}, and another split in {root} has '
                    f'{dict(seen[root])}. Give all of them the same.'
                )
