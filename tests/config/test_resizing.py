"""Which test pipelines an exported file can pass on."""

from __future__ import annotations

import numpy as np
import pytest
from mmengine.config import Config

from effformer_dense.config.resizing import resizing_of
from effformer_dense.errors import UserError
from effformer_dense.runtime.metadata import Resizing
from tests.helpers import PROJECT_ROOT

LOAD, PACK = dict(type='LoadImageFromFile'), dict(type='mmdet.PackDetInputs')


@pytest.mark.parametrize(
    ('name', 'scale'),
    [('maskrcnn_v2_s0_coco', (1333, 800)), ('semfpn_v2_s0_ade20k', (2048, 512)), ('semfpn_v2_s0_shapes', (128, 128))],
)
def test_our_configs(name: str, scale: tuple[int, int]) -> None:
    cfg = Config.fromfile(PROJECT_ROOT / 'configs' / f'{name}.py', format_python_code=False)
    assert resizing_of(cfg.test_dataloader.dataset.pipeline) == Resizing(scale, keep_ratio=True)


@pytest.mark.parametrize('keep_ratio', [True, False])
@pytest.mark.parametrize('size', [(333, 500), (500, 333), (20, 900)])
def test_sizes_are_those_of_mmcv(size: tuple[int, int], keep_ratio: bool) -> None:
    from mmcv.transforms import Resize

    step = dict(type=Resize, scale=(133, 80), keep_ratio=keep_ratio)
    resized = Resize(scale=(133, 80), keep_ratio=keep_ratio).transform(dict(img=np.zeros((*size, 3), np.uint8)))
    assert resizing_of([LOAD, step, PACK]).size(*size) == resized['img'].shape[:2]


def test_pictures_may_stay_as_they_are_and_one_number_is_both_sides() -> None:
    assert resizing_of([LOAD, PACK]) == Resizing()
    assert resizing_of([LOAD, dict(type='Resize', scale=640, keep_ratio=True)]) == Resizing((640, 640))


@pytest.mark.parametrize(
    'step',
    [
        dict(type='Resize', scale_factor=0.5),
        dict(type='Resize', scale=(64, 64), interpolation='area'),
        dict(type='ResizeToMultiple', size_divisor=32),
        dict(type='ResizeToMultiple'),
        dict(type='Pad', size_divisor=32),
        dict(type='ResizeShortestEdge', scale=512, max_size=2048),
        dict(type='LoadImageFromFile', color_type='grayscale'),
        dict(type='OwnStep'),
    ],
)
def test_what_it_cannot_pass_on_is_refused(step: dict) -> None:
    with pytest.raises(UserError, match=rf'Step 1 of the test pipeline, {step["type"]}\(.*one Resize\(scale='):
        resizing_of([LOAD, step, PACK])


def test_two_resizings_are_one_too_many() -> None:
    step = dict(type='Resize', scale=(64, 64))
    with pytest.raises(UserError, match='Step 2'):
        resizing_of([LOAD, step, step])
