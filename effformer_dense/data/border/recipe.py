"""The config for a data set of one's own: some ten lines on one of ours, from what was counted in the data."""

from __future__ import annotations

import pprint
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
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
#: And features of a backbone that has learned nothing are too large for heads without norm layers (arXiv 1811.08883).
_NORM = "norm_cfg=dict(type='GN', num_groups=32)"

_OPTIMIZER = 'optim_wrapper = dict(optimizer=dict(lr=1e-4), clip_grad=dict(_delete_=True, max_norm=10.0))'


@dataclass(frozen=True)
class Facts:
    """What is known of a data set.

    Attributes:
        name: of the config.
        classes, palette: names and RGB.
        counts: pictures per split.
        with_objects: training pictures that show an object; the others are not learned from.
        size: median short and median long side of the training pictures.
        objects_px: side of a square as large as the object than which 5 in 100 are smaller, and of that than which 5 in
            100 are larger, in px of the network's input.
        root: folder of the canonical files, absolute.
        pictures: folder of the pictures, absolute or relative to ``root``.
    """

    name: str
    classes: Sequence[str]
    palette: Sequence[Colour]
    counts: Mapping[str, int]
    size: tuple[int, int]
    root: str
    pictures: str
    with_objects: int = 0
    objects_px: tuple[float, float] = (32, 512)


def median_size(sizes: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """Median short and median long side of pictures, whichever way they lie."""
    return round(median(map(min, sizes))), round(median(map(max, sizes)))


def input_size(size: tuple[int, int]) -> tuple[int, int]:
    """Longest and short side, in px, to which a detector's pictures are brought."""
    short = _rounded(min(size) * _ENLARGED, *_SHORT)
    return round(short * _LONGER), short


def objects_px(images: Sequence[dict[str, Any]], annotations: Sequence[dict[str, Any]]) -> tuple[float, float]:
    """What :class:`Facts` says of the objects of a canonical table."""
    long, short = input_size(median_size([(row['height'], row['width']) for row in images]))
    scale = {}
    for row in images:
        low, high = sorted((row['height'], row['width']))
        scale[row['id']] = min(short / low, long / high)
    sides = [(row['bbox'][2] * row['bbox'][3]) ** 0.5 * scale[row['image_id']] for row in annotations]
    small, large = np.percentile(sides, (5, 95)).tolist()
    return small, large


def detection_recipe(facts: Facts, base: str, from_scratch: bool) -> str:
    """Text of a config that trains a detector."""
    scale = input_size(facts.size)
    epochs = _epochs(facts.with_objects)
    every = max(1, epochs // 12)
    warm_up = max(1, min(500, epochs * facts.with_objects // 2 // 10))
    has_masks = PurePath(base).name.startswith('maskrcnn')
    test = 'test' if facts.counts.get('test') else 'val'
    lines = [
        *_head(facts, base),
        f'train_pipeline[2].scale = test_pipeline[1].scale = {scale}',
        f'data = dict(data_root={facts.root!r}, data_prefix=dict(img={facts.pictures!r}), metainfo=metainfo)',
        'used = dict(filter_empty_gt=True, min_size=0)  # False: learn from pictures without objects, too',
        *_loaders('annotations/{}.json', test, ', filter_cfg=used'),
        f'val_evaluator = dict(ann_file={f"{facts.root}annotations/val.json"!r})',
        f'test_evaluator = dict(ann_file={f"{facts.root}annotations/{test}.json"!r})',
        *_model(
            f'rpn_head=dict(anchor_generator=dict(scales={_anchor_scales(*facts.objects_px)}))',
            *([_FROM_SCRATCH, f'neck=dict({_NORM})'] if from_scratch else ()),
            *([f'roi_head=dict(mask_head=dict({_NORM}))'] if from_scratch and has_masks else ()),
        ),
        f'train_cfg = dict(max_epochs={epochs}, val_interval={every})',
        'param_scheduler = [',
        f"    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end={warm_up}),",
        f"    dict(type='MultiStepLR', begin=0, end={epochs}, by_epoch=True, "
        f'milestones=[{round(epochs * 2 / 3)}, {round(epochs * 11 / 12)}], gamma=0.1),',
        ']',
        f'{_OPTIMIZER}  # one GPU x 2 pictures',
        f"default_hooks = dict(checkpoint=dict(interval={every}, save_best='coco/bbox_mAP'))",
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
        *_model(f'data_preprocessor=dict(size={(crop, crop)})', *[_FROM_SCRATCH] * from_scratch),
        f'train_cfg = dict(max_iters={max_iters}, val_interval={max_iters // 10})',
        f"param_scheduler = [dict(type='PolyLR', power=0.9, eta_min=1e-6, begin=0, end={max_iters}, by_epoch=False)]",
        f'{_OPTIMIZER}  # one GPU x 4 pictures',
        f"default_hooks = dict(checkpoint=dict(interval={max_iters // 10}, save_best='mIoU'))",
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
        f'_base_ = {base if base.endswith(".py") else f"effformer_dense::{base}.py"!r}',
        '',
        'metainfo = dict(',
        *meta,
        ')',
        'train_pipeline, test_pipeline = _base_.train_pipeline, _base_.test_pipeline',
    ]


def _wrapped(values: Sequence[Any]) -> str:
    return pprint.pformat(list(values), width=100, compact=True).replace('\n', '\n    ')


def _loaders(file: str, test: str, for_training: str = '') -> list[str]:
    lines = []
    for split, source in (('train', 'train'), ('val', 'val'), ('test', test)):
        more = f'pipeline=train_pipeline{for_training}' if split == 'train' else 'pipeline=test_pipeline'
        entries = f'dict(**data, ann_file={file.format(source)!r}, {more})'
        lines.append(f'{split}_dataloader = dict(dataset={entries})')
    return lines


def _model(*entries: str) -> list[str]:
    return ['model = dict(', *(f'    {entry},' for entry in entries), ')']


def _rounded(side: float, low: int, high: int) -> int:
    """A multiple of 32 near ``side``, within bounds."""
    return int(np.clip(round(side / 32) * 32, low, high))


def _epochs(pictures: int) -> int:
    """Some 9,000 steps of 2 pictures; no fewer epochs than COCO's 12, and no more than 300."""
    return int(np.clip(round(9000 * 2 / pictures), 12, 300))


def _anchor_scales(small_px: float, large_px: float) -> list[int]:
    """Anchors of a scale are 4 to 64 px times it, one size per level.

    Half of the smallest side must fit into the small objects, and the largest area must be half of the large ones' at
    least; where one scale does not reach from the small to the large ones, there are several.
    """
    smallest = next((scale for scale in (8, 4) if small_px >= 4 * scale / 2), 2)
    largest = next((scale for scale in (2, 4) if large_px <= 64 * scale * 2**0.5), 8)
    return [scale for scale in (2, 4, 8) if smallest <= scale <= max(smallest, largest)]
