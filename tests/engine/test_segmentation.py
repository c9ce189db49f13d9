"""The same tools on an mmsegmentation config: the scope comes from the config."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from effformer_dense.data.shapes import CLASSES, make_scene
from effformer_dense.engine.config import ConfigOptions
from effformer_dense.engine.infer import InferOptions, infer
from effformer_dense.engine.runner import EvaluationOptions, evaluate, train

pytestmark = pytest.mark.slow

CONFIG = """
custom_imports = dict(imports=['effformer_dense'], allow_failed_imports=False)
default_scope = 'mmseg'
classes = {classes!r}
model = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(
        type='SegDataPreProcessor', mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True,
        pad_val=0, seg_pad_val=255, size=(64, 64), test_cfg=dict(size_divisor=1),
    ),
    backbone=dict(type='EfficientFormerV2', arch='s0'),
    neck=dict(type='FPN', in_channels=[32, 48, 96, 176], out_channels=16, num_outs=4),
    decode_head=dict(
        type='FPNHead', in_channels=[16] * 4, in_index=[0, 1, 2, 3], feature_strides=[4, 8, 16, 32], channels=16,
        num_classes=len(classes), norm_cfg=dict(type='SyncBN'), align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss'),
    ),
    test_cfg=dict(mode='whole'),
)
dataset = dict(
    type='BaseSegDataset', data_root={root!r}, metainfo=dict(classes=classes, palette=[[i * 40] * 3 for i in range(6)]),
    data_prefix=dict(img_path='images', seg_map_path='labels'), img_suffix='.png', seg_map_suffix='.png',
)
load, pack = dict(type='LoadImageFromFile'), dict(type='PackSegInputs')
train_dataloader = dict(
    batch_size=2, num_workers=0, sampler=dict(type='InfiniteSampler'),
    dataset=dict(**dataset, pipeline=[load, dict(type='LoadAnnotations'), pack]),
)
val_dataloader = dict(
    batch_size=1, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(**dataset, pipeline=[load, dict(type='LoadAnnotations'), pack]),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
test_evaluator = val_evaluator
train_cfg = dict(type='IterBasedTrainLoop', max_iters=2, val_interval=2)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=1e-3))
default_hooks = dict(checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=2))
log_processor = dict(by_epoch=False)
visualizer = dict(type='SegLocalVisualizer', name='visualizer')
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Semantic FPN on four labelled scenes."""
    root = tmp_path / 'labelled'
    for folder in ('images', 'labels'):
        (root / folder).mkdir(parents=True)
    for index in range(4):
        scene = make_scene(0, 'train', index, 64)
        labels = (scene.masks * (scene.labels + 1)[:, None, None]).sum(0).astype(np.uint8)
        Image.fromarray(scene.image).save(root / 'images' / f'{index}.png')
        Image.fromarray(labels).save(root / 'labels' / f'{index}.png')
    path = tmp_path / 'semfpn.py'
    path.write_text(CONFIG.format(classes=('ground', *CLASSES), root=str(root)))
    return path


def test_train_test_and_infer_a_segmentor(config: Path, tmp_path: Path) -> None:
    options = ConfigOptions(config, work_dir=tmp_path / 'work')
    work_dir = train(options)
    metrics = evaluate(options, EvaluationOptions(work_dir, show_dir=tmp_path / 'shown', show_count=2))
    assert 0 <= metrics['mIoU'] <= 100
    assert len(list((tmp_path / 'shown').glob('*.png'))) == 2
    out = infer(options, InferOptions(work_dir, str(tmp_path / 'labelled' / 'images' / '0.png'), tmp_path / 'out'))
    assert Image.open(out / 'pictures' / '0.png').size == (64, 64)
    assert not (out / 'predictions.json').exists()


def test_num_classes_of_a_segmentor_is_checked(config: Path, tmp_path: Path) -> None:
    options = ConfigOptions(config, cfg_options=['model.decode_head.num_classes=150'], work_dir=tmp_path / 'work')
    with pytest.raises(ValueError, match=r'decode_head.num_classes is 150, .* has 6 classes \(ground, disc'):
        train(options)
