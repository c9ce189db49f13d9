"""Plug-in use: somebody's own mmdet config, which knows of this package by one import."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet.apis import inference_detector, init_detector
from mmdet.structures import DetDataSample
from mmdet.testing import demo_mm_inputs
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from mmengine.runner import save_checkpoint

from tests.helpers import PROJECT_ROOT

# RetinaNet from mmdet's parts, without a file of ours.
USER_CONFIG = """
custom_imports = dict(imports=['effformer_dense'], allow_failed_imports=False)
default_scope = 'mmdet'
model = dict(
    type='RetinaNet',
    data_preprocessor=dict(
        type='DetDataPreprocessor', mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True
    ),
    backbone=dict(type='EfficientFormerV2', arch='s1'),
    neck=dict(
        type='FPN', in_channels=[32, 48, 120, 224], out_channels=32, start_level=1, num_outs=5,
        add_extra_convs='on_output'
    ),
    bbox_head=dict(
        type='RetinaHead',
        num_classes=4,
        in_channels=32,
        feat_channels=32,
        stacked_convs=1,
        anchor_generator=dict(
            type='AnchorGenerator', octave_base_scale=4, scales_per_octave=3, ratios=[0.5, 1.0, 2.0],
            strides=[8, 16, 32, 64, 128],
        ),
        bbox_coder=dict(type='DeltaXYWHBBoxCoder'),
        loss_cls=dict(type='FocalLoss', use_sigmoid=True),
        loss_bbox=dict(type='L1Loss'),
    ),
    train_cfg=dict(
        assigner=dict(type='MaxIoUAssigner', pos_iou_thr=0.5, neg_iou_thr=0.4, min_pos_iou=0, ignore_iof_thr=-1),
        sampler=dict(type='PseudoSampler'),
        allowed_border=-1,
        pos_weight=-1,
    ),
    test_cfg=dict(nms_pre=100, min_bbox_size=0, score_thr=0.0, nms=dict(type='nms', iou_threshold=0.5), max_per_img=10),
)
test_dataloader = dict(
    dataset=dict(
        type='CocoDataset',
        metainfo=dict(classes=('a', 'b', 'c', 'd')),
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='Resize', scale=(160, 128), keep_ratio=True),
            dict(type='PackDetInputs', meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor')),
        ],
    )
)
"""


@pytest.fixture
def user_config(tmp_path: Path) -> Config:
    path = tmp_path / 'mine.py'
    path.write_text(USER_CONFIG)
    return Config.fromfile(path)


def test_a_users_detector_trains_a_step(user_config: Config) -> None:
    init_default_scope('mmdet')
    detector = MODELS.build(user_config.model).train()
    optimizer = torch.optim.SGD(detector.parameters(), lr=0.01)
    before = detector.backbone.stem.conv1.conv.weight.clone()
    data = detector.data_preprocessor(demo_mm_inputs(2, [[3, 97, 130], [3, 96, 128]], num_classes=4), True)
    loss, _ = detector.parse_losses(detector(**data, mode='loss'))
    loss.backward()
    optimizer.step()
    assert torch.isfinite(loss)
    assert not torch.equal(before, detector.backbone.stem.conv1.conv.weight)


@pytest.mark.slow
def test_init_detector_and_inference_detector(user_config: Config, tmp_path: Path) -> None:
    init_default_scope('mmdet')
    trained = MODELS.build(user_config.model)
    checkpoint = tmp_path / 'trained.pth'
    meta = dict(dataset_meta=dict(classes=('a', 'b', 'c', 'd')))
    save_checkpoint(dict(state_dict=trained.state_dict(), meta=meta), str(checkpoint))
    detector = init_detector(tmp_path / 'mine.py', str(checkpoint), device='cpu', palette='random')
    for name, value in detector.state_dict().items():
        assert torch.equal(value, trained.state_dict()[name]), name
    image = np.random.default_rng(0).integers(0, 256, (75, 119, 3), dtype=np.uint8)
    result = inference_detector(detector, image)
    assert isinstance(result, DetDataSample)
    boxes = result.pred_instances.bboxes
    assert len(boxes) == 10 and float(boxes.max()) <= 119.5


def test_mmsegs_own_inference_takes_a_stock_config() -> None:
    """Its pipeline keeps our loading of labels, for which there is no file."""
    from mmseg.apis import inference_model, init_model

    segmentor = init_model(str(PROJECT_ROOT / 'configs' / 'semfpn_v2_s0_shapes.py'), device='cpu')
    image = np.random.default_rng(0).integers(0, 256, (75, 119, 3), dtype=np.uint8)
    labels = inference_model(segmentor, image).pred_sem_seg.data
    assert labels.shape == (1, 75, 119)


def test_init_detector_on_the_demo_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    detector = init_detector(PROJECT_ROOT / 'configs' / 'maskrcnn_v2_s0_shapes.py', None, device='cpu')
    assert detector.dataset_meta['palette'] and list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_the_registered_name_is_found_without_importing_the_class(tmp_path: Path) -> None:
    """In a fresh interpreter, where nothing but `custom_imports` can have registered it."""
    import subprocess
    import sys

    path = tmp_path / 'mine.py'
    path.write_text(USER_CONFIG)
    script = (
        'import sys; from mmdet.apis import init_detector;'
        'net = init_detector(sys.argv[1], None, device="cpu", palette="random");'
        'print(type(net.backbone).__name__)'
    )
    done = subprocess.run([sys.executable, '-c', script, str(path)], capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout.splitlines()[-1:] == ['EfficientFormerV2'], done.stderr


@pytest.mark.slow
def test_backbones_need_nothing_but_torch_and_mmengine() -> None:
    import subprocess
    import sys

    blocked = ['mmcv', 'mmdet', 'mmseg', 'timm', 'huggingface_hub', 'safetensors']
    script = (
        f'import sys; sys.modules.update(dict.fromkeys({blocked!r}));'
        'import torch; from effformer_dense import EfficientFormerV2;'
        'print(EfficientFormerV2("s0").eval()(torch.rand(1, 3, 64, 64))[3].shape)'
    )
    done = subprocess.run([sys.executable, '-c', script], capture_output=True, text=True, cwd=PROJECT_ROOT)
    assert done.stdout.strip() == 'torch.Size([1, 176, 2, 2])', done.stderr
