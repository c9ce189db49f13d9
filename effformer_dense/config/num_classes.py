"""Numbers of classes follow the data set: in every head of a model, and where segmentation maps are loaded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.registry import MODELS

from ..data.resizing import kind_of
from ..errors import UserError
from ..options import ConfigOptions
from .datasets import DatasetView, dataset_nodes, datasets_of, view
from .nodes import walk
from .own_text import KeyPath, own_keys
from .registry import argument, find_component

#: Parts of a model that predict classes.
HEADS = ('bbox_head', 'mask_head', 'decode_head', 'auxiliary_head')
#: Those that count things and stuff apart: what Mask2Former finds instances with.
PANOPTIC_HEADS = ('panoptic_head', 'panoptic_fusion_head')


def follow_data_set(cfg: Config, options: ConfigOptions) -> None:
    """Set numbers of classes to those of the data set, in place, wherever the user said none.

    The user says a number in the config file named, not in a file that it builds on, or with ``--cfg-options``. It is
    left as it is, for :func:`..preflight.model.check_num_classes` to compare.

    Args:
        cfg: config whose scope is entered.
        options: where it is from.

    Raises:
        UserError: weights of the classes in a loss, which would have to change too, are not all the same.
    """
    said = _said(cfg, options)
    datasets = [dataset for split in ('train', 'val', 'test') for dataset in datasets_of(cfg, split)]
    dataset = next((dataset for dataset in datasets if dataset.classes), None)
    if dataset is None:
        return
    changes = [change for path, node in _heads(cfg.get('model')) for change in _set_head(path, node, dataset, said)]
    if changes:
        print_log(
            f'{len(dataset.classes or ())} classes, as the data set has: {", ".join(changes)}. A number in your own '
            'config stands.',
            'current',
        )
    _set_map_loading(cfg, said)


def _said(cfg: Config, options: ConfigOptions) -> set[KeyPath]:
    keys = own_keys(Path(cfg.filename)) if cfg.get('filename') or cfg.filename else set()
    overrides = (override.partition('=')[0].split('.') for override in options.cfg_options)
    return keys | {tuple(part for part in keys if not part.isdigit()) for keys in overrides}


def _heads(model: Any) -> Iterator[tuple[str, dict]]:
    """Heads, and what stands directly in them, such as losses."""
    for path, node in walk(model, 'model'):
        if any(part in (*HEADS, *PANOPTIC_HEADS) for part in path.split('.')[-2:]):
            yield path, node


def _set_head(path: str, node: dict, dataset: DatasetView, said: set[KeyPath]) -> Iterator[str]:
    """Set the counts of one node; yields what was changed."""
    place = tuple(part for part in path.split('.') if not part.isdigit())
    cls = find_component(MODELS, node.get('type'))
    panoptic = any(part in PANOPTIC_HEADS for part in path.split('.')[-2:])
    names = ('num_things_classes', 'num_stuff_classes') if panoptic else ('num_classes',)
    old = {name: argument(cls, node, name, None) for name in names}
    counts = {name: number for name, number in old.items() if isinstance(number, int)}
    wanted = _wanted(counts, dataset)
    if any((*place, name) in said for name in counts) or wanted == counts:
        return
    _resize_class_weights(path, node, sum(counts.values()), sum(wanted.values()))
    for name, number in wanted.items():
        if number != counts[name]:
            node[name] = number
            yield f'{path}.{name} {counts[name]} -> {number}'


def _wanted(counts: Mapping[str, int], dataset: DatasetView) -> dict[str, int]:
    classes = len(dataset.classes or ())
    if set(counts) <= {'num_classes'}:
        return dict.fromkeys(counts, classes)
    things, stuff = (dataset.metainfo.get(key) for key in ('thing_classes', 'stuff_classes'))
    if things is not None and stuff is not None and len(things) + len(stuff) == classes:
        numbers = {'num_things_classes': len(things), 'num_stuff_classes': len(stuff)}
    else:  # a data set of instances
        numbers = {'num_things_classes': classes, 'num_stuff_classes': 0}
    return {name: numbers[name] for name in counts}


def _resize_class_weights(path: str, node: dict, old: int, new: int) -> None:
    """Weights of losses, one per class and maybe one of the background, for another number of classes."""
    for place, loss in walk(node, path):
        weights = loss.get('class_weight')
        if not isinstance(weights, (list, tuple)) or len(weights) not in (old, old + 1) or old == new:
            continue
        if len(set(weights[:old])) > 1:
            raise UserError(
                f'{place}.class_weight has a weight for each of {old} classes, and the data set has {new}. Give it '
                f'{new} of your own, or none: --cfg-options {place}.class_weight=None'
            )
        loss['class_weight'] = [weights[0]] * new + list(weights[old:])


def _set_map_loading(cfg: Config, said: set[KeyPath]) -> None:
    """``LoadSegmentationMap`` expects as many classes as the segmentation maps of its data set can name."""
    pipelines = [
        (node['pipeline'], view(node))
        for split in ('train', 'val', 'test')
        for node in dataset_nodes((cfg.get(f'{split}_dataloader') or {}).get('dataset'))
        if node.get('pipeline')
    ]
    if pipelines and cfg.get('tta_pipeline'):
        pipelines.append((cfg.tta_pipeline, pipelines[-1][1]))
    if any(keys[-1] == 'num_classes' and keys[0] != 'model' and len(keys) > 1 for keys in said):
        return
    for pipeline, dataset in pipelines:
        for _, step in walk(pipeline):
            if kind_of(step) == 'LoadSegmentationMap' and dataset.file_classes:
                step['num_classes'] = len(dataset.file_classes)
