"""Small detectors with weights that find something."""

from __future__ import annotations

import copy

import pytest
import torch
from mmengine.config import Config, ConfigDict
from mmengine.registry import init_default_scope
from torch import nn

from effformer_dense.rows import to_arch
from tests.helpers import PROJECT_ROOT, TINY_V2, randomise

pytest.importorskip('mmdet')
from mmdet.registry import MODELS

_CHANNELS = 16
_CODER = dict(type='DeltaXYWHBBoxCoder', target_means=[0.0] * 4, target_stds=[1.0] * 4)


def _two_stages() -> dict:
    """Mask R-CNN with as many classes as the demo."""
    model = Config.fromfile(PROJECT_ROOT / 'configs' / '_base_' / 'mask_rcnn_fpn.py').model
    model.backbone = dict(type='EfficientFormerV2', arch=to_arch(TINY_V2))
    model.neck.update(in_channels=list(TINY_V2.widths), out_channels=_CHANNELS)
    model.rpn_head.update(in_channels=_CHANNELS, feat_channels=_CHANNELS)
    head = model.roi_head
    head.bbox_roi_extractor.out_channels = head.mask_roi_extractor.out_channels = _CHANNELS
    head.bbox_head.update(in_channels=_CHANNELS, fc_out_channels=32, num_classes=5)
    head.mask_head.update(
        in_channels=_CHANNELS, conv_out_channels=_CHANNELS, num_convs=1, num_classes=5, norm_cfg=dict(type='BN')
    )
    model.test_cfg.rpn.update(nms_pre=200, max_per_img=100)
    model.train_cfg = None
    return model.to_dict()


def _retinanet() -> dict:
    return dict(
        type='RetinaNet',
        data_preprocessor=_two_stages()['data_preprocessor'],
        backbone=dict(type='EfficientFormerV2', arch=to_arch(TINY_V2)),
        neck=dict(
            type='FPN',
            in_channels=list(TINY_V2.widths),
            out_channels=_CHANNELS,
            start_level=1,
            add_extra_convs='on_input',
            num_outs=5,
        ),
        bbox_head=dict(
            type='RetinaHead',
            num_classes=5,
            in_channels=_CHANNELS,
            stacked_convs=1,
            feat_channels=_CHANNELS,
            bbox_coder=_CODER,
        ),
        test_cfg=dict(
            nms_pre=200, min_bbox_size=0, score_thr=0.05, nms=dict(type='nms', iou_threshold=0.5), max_per_img=100
        ),
    )


def detector_config(kind: str) -> dict:
    """Config of 'mask', 'faster' or 'retina'."""
    if kind == 'retina':
        return _retinanet()
    config = _two_stages()
    if kind == 'faster':
        config['type'] = 'FasterRCNN'
        for part in ('mask_head', 'mask_roi_extractor'):
            del config['roi_head'][part]
    return config


def _speak(model: nn.Module) -> None:
    """Scores and boxes that differ from place to place, and far enough to be decided."""
    generator = torch.Generator().manual_seed(1)
    for name, parameter in model.named_parameters():
        if name.endswith(('rpn_cls.weight', 'fc_cls.weight', 'retina_cls.weight', 'conv_logits.weight')):
            parameter.data = torch.randn(parameter.shape, generator=generator) * 4 / parameter[0].numel() ** 0.5
        if name.endswith(('rpn_reg.weight', 'fc_reg.weight', 'retina_reg.weight')):
            parameter.data = torch.randn(parameter.shape, generator=generator) / parameter[0].numel() ** 0.5


@pytest.fixture
def build_detector():
    """Build one of 'mask', 'faster' or 'retina', changed by a function of its config; the same weights every time."""
    init_default_scope('mmdet')

    def build(kind: str, change=lambda config: None):
        torch.manual_seed(0)
        config = copy.deepcopy(detector_config(kind))
        change(config)
        model = MODELS.build(ConfigDict(config))
        randomise(model)
        _speak(model)
        return model.eval()

    return build
