"""Sizes after a pipeline's resizing steps are those that the steps make."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mmcv.transforms import Resize

from effformer_dense.data.resizing import check_resized, smallest_size
from effformer_dense.errors import UserError


@pytest.mark.parametrize('size', [(640, 480), (33, 700), (2000, 40)])
@pytest.mark.parametrize(
    'options',
    [
        dict(scale=(1333, 800), keep_ratio=True),
        dict(scale=(512, 2048), keep_ratio=True),
        dict(scale=(128, 96), keep_ratio=False),
        dict(scale=128, keep_ratio=True),
        dict(scale_factor=0.5),
        dict(scale_factor=(0.5, 2.0), keep_ratio=True),
    ],
)
def test_the_size_is_that_of_the_resized_picture(options: dict[str, Any], size: tuple[int, int]) -> None:
    resized = Resize(**options)(dict(img=np.zeros((size[1], size[0], 3), np.uint8)))['img']
    for kind in ('Resize', 'mmdet.Resize', 'mmcv.transforms.Resize', Resize):  # as configs of every style name it
        assert smallest_size([dict(type=kind, **options)], *size) == resized.shape[1::-1]


def test_chance_counts_at_its_smallest() -> None:
    random = dict(type='RandomResize', scale=(2048, 512), ratio_range=(0.5, 2.0), keep_ratio=True)
    assert smallest_size([random], 640, 480) == (341, 256)
    choice = dict(type='RandomChoiceResize', scales=[(1333, 800), (1333, 400)], keep_ratio=True)
    assert smallest_size([choice], 640, 480) == (533, 400)


def test_steps_that_do_not_resize_count_nothing() -> None:
    steps = [dict(type='LoadImageFromFile'), dict(type='RandomCrop', crop_size=(8, 8)), dict(type='Pad', size=(9, 9))]
    assert smallest_size(steps, 640, 480) == (640, 480)


def test_too_small_a_side_is_told_with_both_sizes() -> None:
    pipeline = [dict(type='Resize', scale=(1333, 800), keep_ratio=True)]
    check_resized(Path('a.png'), pipeline, 1333 * 32, 32 * 32)
    with pytest.raises(UserError, match=r'a\.png: the pipeline makes 1333 x 31 px of its 43000 x 1000 px;'):
        check_resized(Path('a.png'), pipeline, 43_000, 1000)
