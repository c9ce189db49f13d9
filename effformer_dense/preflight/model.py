"""Checks of a config's model: backbone, channels of the neck, pretrained weights, numbers of classes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.registry import MODELS

from ..backbones.base import DenseBackbone
from ..backbones.timm_features import TimmFeatures
from ..checkpoint import match, take, weights_in
from ..checkpoint.whole_model import read_checkpoint
from ..config.datasets import DatasetView
from ..config.nodes import walk
from ..config.num_classes import HEADS, PANOPTIC_HEADS
from ..errors import UserError, some_of
from .widths import check_widths


def check_backbone(model: dict, with_weights: bool, where: str = 'model.backbone') -> None:
    """Check that the backbone builds, the neck expects its channels, and its pretrained weights are available and fit.

    Args:
        model: model config.
        with_weights: look at the pretrained weights too; ``timm://`` names are fetched now.
        where: the backbone's place in the config, for messages.

    Raises:
        UserError: a wrong argument, channels that disagree, or weights that are missing, broken or do not fit.
        MissingFileError: ``timm://`` weights that are neither here nor to be downloaded.
    """
    if 'backbone' not in model:
        return
    try:
        backbone = MODELS.build(model['backbone'])
    except TypeError as error:  # of another type than the backbone can compare
        raise UserError(f'{where} cannot be built of {dict(model["backbone"])}: {error}') from error
    if isinstance(backbone, DenseBackbone | TimmFeatures):
        check_widths(model, backbone)
    if not isinstance(backbone, DenseBackbone):
        return
    for part in pretrained_parts(model['backbone']) if with_weights else ():
        _check_pretrained(backbone, str(part.get('checkpoint')), part.get('prefix'), where)


def pretrained_parts(backbone: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """What of a backbone's ``init_cfg`` loads weights."""
    init = backbone.get('init_cfg') or ()
    parts = init if isinstance(init, list | tuple) else (init,)
    return [part for part in parts if part.get('type') == 'Pretrained']


def check_num_classes(model: dict, dataset: DatasetView) -> None:
    """Every head predicts as many classes as the data set has.

    Box, mask and segmentation heads call it ``num_classes``; panoptic ones, which Mask2Former finds instances with,
    ``num_things_classes`` and ``num_stuff_classes``.

    Raises:
        UserError: they disagree.
    """
    classes = dataset.classes
    if classes is None:
        return
    for path, node in walk(model, 'model'):
        names = _class_counts(path, node)
        count = sum(node[name] for name in names)
        if names and count != len(classes):
            some = some_of(classes, 5)
            raise UserError(
                f'{path}.{" + ".join(names)} is {count}, and the data set {dataset.type_name} has {len(classes)} '
                f'classes ({some}). Set it to {len(classes)}, or set metainfo.classes of the data set.'
            )


def _class_counts(path: str, node: dict) -> list[str]:
    """Entries of a node of the model that add up to its number of classes; none of a node that is no head."""
    if any(part in PANOPTIC_HEADS for part in path.split('.')[-2:]):
        names = ['num_things_classes', 'num_stuff_classes']
    elif any(part in HEADS for part in path.split('.')[-2:]):
        names = ['num_classes']
    else:
        return []
    return [name for name in names if node.get(name) is not None]


def _check_pretrained(backbone: DenseBackbone, source: str, prefix: str | None, where: str) -> None:
    """Check that the pretrained weights are available and fit."""
    if '://' not in source and not Path(source).is_file():
        raise UserError(
            f'Pretrained weights {source} do not exist. Name a local file with --cfg-options '
            f'{where}.init_cfg.checkpoint=FILE, or train without: --from-scratch.'
        )
    content = read_checkpoint(source)
    if prefix:
        prefix = prefix.rstrip('.') + '.'
        content = take(weights_in(content), prefix).backbone
        if not content:
            raise UserError(f'{source} has no entries under the prefix {prefix!r} of init_cfg.')
    try:
        match(backbone, content)
    except ValueError as error:
        raise UserError(f'{source}: {error}') from error
