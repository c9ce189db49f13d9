"""The config for a data set of one's own: some ten lines on one of ours, from what was counted in the data."""

from __future__ import annotations

import pprint
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np

from .formats.class_tables import Colour

#: Configs that are built on, by what the data have.
MASKS, BOXES, MAPS = 'maskrcnn_v2_s1_coco', 'fasterrcnn_v2_s1_coco', 'semfpn_v2_s1_ade20k'
#: COCO's median picture is 640 x 480 px and is enlarged to a short side of 800, three anchors to an octave from 32 px.
_ENLARGED, _SHORT, _LONGER = 5 / 3, (320, 800), 5 / 3
#: Without pretrained weights: layer scales of 1e-5, as published, would sleep through a short training.
_FROM_SCRATCH = "backbone=dict(init_cfg=dict(_delete_=True, type='Constant', layer='LayerScale', val=1.0))"

_OPTIMIZER = 'optim_wrapper = dict(optimizer=dict(lr=1e-4), clip_grad=dict(_delete_=True, max_norm=10.0))'


@dataclass(frozen=True)
class Facts:
    """What is known of a data set.

    Attributes:
        name: of the config.
        classes, palette: names and RGB.
        counts: pictures per split.
        size: median (height, width) of the training pictures.
        object_px: side of a square as large as the object than which 5 in 100 are smaller; None for maps.
        root: folder of the canonical files, absolute.
        pictures: folder of the pictures, absolute or relative to ``root``.
    """

    name: str
    classes: Sequence[str]
    palette: Sequence[Colour]
    counts: Mapping[str, int]
    size: tuple[int, int]
    object_px: float | None
    root: str
    pictures: str


def median_size(sizes: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """Median height and median width."""
    return round(median(height for height, _ in sizes)), round(median(width for _, width in sizes))


def small_object_px(annotations: Sequence[dict[str, Any]]) -> float:
    """Side of a square as large as the object than which 5 in 100 are smaller."""
    return float(np.percentile([(row['bbox'][2] * row['bbox'][3]) ** 0.5 for row in annotations], 5))


def detection_recipe(facts: Facts, base: str, from_scratch: bool) -> str:
    """Text of a config that trains a detector."""
    short = _rounded(min(facts.size) * _ENLARGED, *_SHORT)
    scale = (round(short * _LONGER), short)
    epochs = _epochs(facts.counts['train'])
    anchors = _anchor_scale((facts.object_px or 32) * min(short / min(facts.size), scale[0] / max(facts.size)))
    warm_up = max(1, min(500, epochs * facts.counts['train'] // 2 // 10))
    test = 'test' if facts.counts.get('test') else 'val'
    lines = [
        *_head(facts, base),
        f'train_pipeline[2].scale = test_pipeline[1].scale = {scale}',
        f'data = dict(data_root={facts.root!r}, data_prefix=dict(img={facts.pictures!r}), metainfo=metainfo)',
        *_loaders('annotations/{}.json', test),
        f'val_evaluator = dict(ann_file={f"{facts.root}annotations/val.json"!r})',
        f'test_evaluator = dict(ann_file={f"{facts.root}annotations/{test}.json"!r})',
        *_model(f'rpn_head=dict(anchor_generator=dict(scales=[{anchors}]))', from_scratch),
        f'train_cfg = dict(max_epochs={epochs}, val_interval={max(1, epochs // 12)})',
        'param_scheduler = [',
        f"    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end={warm_up}),",
        f"    dict(type='MultiStepLR', begin=0, end={epochs}, by_epoch=True, "
        f'milestones=[{round(epochs * 2 / 3)}, {round(epochs * 11 / 12)}], gamma=0.1),',
        ']',
        f'{_OPTIMIZER}  # one GPU x 2 pictures',
        f'default_hooks = dict(checkpoint=dict(interval={max(1, epochs // 12)}))',
    ]
    return '\n'.join(lines) + '\n'


def segmentation_recipe(facts: Facts, base: str, from_scratch: bool, picture_suffix: str) -> str:
    """Text of a config that trains a segmentor."""
    crop = _rounded(min(facts.size), 128, 512)
    max_iters = int(np.clip(round(facts.counts['train'] * 100 / 4, -2), 1000, 40000))
    test = 'test' if facts.counts.get('test') else 'val'
    lines = [
        *_head(facts, base),
        f'train_pipeline[2].scale = test_pipeline[1].scale = {(4 * crop, crop)}  # the short side becomes {crop} px',
        f'train_pipeline[3].crop_size = {(crop, crop)}',
        'data = dict(',
        f"    type='BaseSegDataset', data_root={facts.root!r}, metainfo=metainfo, img_suffix={picture_suffix!r},",
        f"    data_prefix=dict(img_path={facts.pictures!r}, seg_map_path='segmentation_maps/'),",
        ')',
        *_loaders('{}.txt', test),
        *_model(f'data_preprocessor=dict(size={(crop, crop)})', from_scratch),
        f'train_cfg = dict(max_iters={max_iters}, val_interval={max_iters // 10})',
        f"param_scheduler = [dict(type='PolyLR', power=0.9, eta_min=1e-6, begin=0, end={max_iters}, by_epoch=False)]",
        f'{_OPTIMIZER}  # one GPU x 4 pictures',
        f'default_hooks = dict(checkpoint=dict(interval={max_iters // 10}))',
    ]
    return '\n'.join(lines) + '\n'


def _head(facts: Facts, base: str) -> list[str]:
    counts = ' + '.join(f'{number:,} ({split})' for split, number in facts.counts.items())
    meta = [f'    {key}={_wrapped(value)},' for key, value in (('classes', facts.classes), ('palette', facts.palette))]
    return [
        f'"""{len(facts.classes)} classes, {counts} pictures; written by prepare-data, to be changed at will.',
        '',
        f'    effdense train {facts.name}.py',
        '"""',
        '',
        f"_base_ = 'effformer_dense::{base}.py'",
        '',
        'metainfo = dict(',
        *meta,
        ')',
        'train_pipeline, test_pipeline = _base_.train_pipeline, _base_.test_pipeline',
    ]


def _wrapped(values: Sequence[Any]) -> str:
    return pprint.pformat(list(values), width=100, compact=True).replace('\n', '\n    ')


def _loaders(file: str, test: str) -> list[str]:
    entry = '{split}_dataloader = dict(dataset=dict(**data, ann_file={file!r}, pipeline={pipeline}_pipeline))'
    return [
        entry.format(split=split, file=file.format(source), pipeline='train' if split == 'train' else 'test')
        for split, source in (('train', 'train'), ('val', 'val'), ('test', test))
    ]


def _model(entry: str, from_scratch: bool) -> list[str]:
    return ['model = dict(', *(f'    {part},' for part in (entry, *[_FROM_SCRATCH] * from_scratch)), ')']


def _rounded(side: float, low: int, high: int) -> int:
    """A multiple of 32 near ``side``, within bounds."""
    return int(np.clip(round(side / 32) * 32, low, high))


def _epochs(pictures: int) -> int:
    """Some 9,000 steps of 2 pictures; no fewer epochs than COCO's 12, and no more than 300."""
    return int(np.clip(round(9000 * 2 / pictures), 12, 300))


def _anchor_scale(smallest_px: float) -> int:
    """Anchors start at 4 px times this: half of their side must fit into the smallest objects."""
    return next((scale for scale in (8, 4) if smallest_px >= 4 * scale / 2), 2)
