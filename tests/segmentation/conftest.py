"""A small Semantic FPN, and what a data loader gives it."""

from __future__ import annotations

import copy

import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData

from effformer_dense.rows import to_arch
from tests.helpers import TINY_V2, randomise

pytest.importorskip('mmseg')
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

import effformer_dense.segmentation.register  # noqa: F401

NUM_CLASSES = 7

MODEL = dict(
    data_preprocessor=dict(
        type='SegDataPreProcessor', mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True
    ),
    backbone=dict(type='EfficientFormerV2', arch=to_arch(TINY_V2)),
    neck=dict(type='FPN', in_channels=list(TINY_V2.widths), out_channels=16, num_outs=4),
    decode_head=dict(
        type='FPNHead',
        in_channels=[16] * 4,
        in_index=[0, 1, 2, 3],
        feature_strides=[4, 8, 16, 32],
        channels=16,
        num_classes=NUM_CLASSES,
        norm_cfg=dict(type='BN'),
        align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss'),
    ),
)


@pytest.fixture
def build_segmentor():
    """Build a segmentor of a type with a test_cfg; the same weights every time."""
    init_default_scope('mmseg')

    def build(kind: str = 'TiledEncoderDecoder', continue_edges: bool = True, **test_cfg):
        torch.manual_seed(4)  # of the first few, one whose maps have many classes
        own = dict(continue_edges=continue_edges) if kind == 'TiledEncoderDecoder' else {}
        test_cfg = ConfigDict(test_cfg or dict(mode='whole'))
        model = MODELS.build(dict(type=kind, **copy.deepcopy(MODEL), **own, test_cfg=test_cfg))
        # Loud features, so that the classes differ from place to place.
        torch.nn.init.normal_(model.decode_head.conv_seg.weight, std=1.0)
        return randomise(model).eval()

    return build


@pytest.fixture
def make_batch():
    """A batch of one picture of any size, to be predicted at ``ori_shape``."""

    def make(height: int, width: int, ori_shape: tuple[int, int] | None = None, **meta) -> dict:
        generator = torch.Generator().manual_seed(height * width)
        coarse = torch.rand(1, 3, 9, 9, generator=generator)
        image = 255 * torch.nn.functional.interpolate(coarse, size=(height, width), mode='bicubic')[0].clamp(0, 1)
        ori_shape = ori_shape or (height, width)
        sample = SegDataSample(metainfo=dict(img_shape=(height, width), ori_shape=ori_shape, img_path='p.jpg', **meta))
        sample.gt_sem_seg = PixelData(data=torch.zeros(1, *ori_shape, dtype=torch.long))
        return dict(inputs=[image], data_samples=[sample])

    return make
