"""Heads of mmdet and mmsegmentation, from their stock configs, on a data set with three classes of its own."""

from __future__ import annotations

import json
import math
from pathlib import Path

import mmseg
import pytest
import torch

from effformer_dense.data.ade_layout import ensure_ade_shapes
from effformer_dense.data.generated import ShapesSpec
from effformer_dense.engine.runner import evaluate, train
from effformer_dense.options import ConfigOptions, EvaluationOptions

pytestmark = pytest.mark.slow

#: COCO's names, in the order of its file, and those that the user's annotation file has in their place.
RENAMED = {'person': 'my person', 'handbag': 'my bag', 'bottle': 'my bottle'}
OWN = tuple(RENAMED.values())

DETECTOR = """
_base_ = 'mmdet::{base}'
custom_imports = dict(imports=['effformer_dense'], allow_failed_imports=False)
classes = {classes!r}
data = dict(data_root={root!r}, ann_file='own.json', metainfo=dict(classes=classes),
    data_prefix=dict(_delete_=True, img='val2017/'))
train_dataloader = dict(dataset=data)
val_dataloader = dict(dataset=data)
test_dataloader = val_dataloader
val_evaluator = dict(ann_file={root!r} + '/own.json')
test_evaluator = val_evaluator
model = dict(backbone=dict(_delete_=True, type='EfficientFormerV2', arch='s0'), {heads})
"""
RETINANET = 'neck=dict(in_channels=[32, 48, 96, 176]), bbox_head=dict(num_classes=len(classes))'
MASK2FORMER = """panoptic_head=dict(
    in_channels=[32, 48, 96, 176], num_things_classes=3, num_queries=10, loss_cls=dict(class_weight=[1.0] * 3 + [0.1])),
    panoptic_fusion_head=dict(num_things_classes=3)"""

SEGMENTOR = """
_base_ = {base!r}
custom_imports = dict(imports=['effformer_dense'], allow_failed_imports=False)
classes = {classes!r}
data = dict(type='BaseSegDataset', data_root={root!r}, metainfo=dict(classes=classes), reduce_zero_label=True)
train_dataloader = dict(dataset=data)
val_dataloader = dict(dataset=data)
test_dataloader = val_dataloader
model = dict(pretrained=None, backbone=dict(_delete_=True, type='EfficientFormerV2', arch='s0'),
    decode_head=dict(in_channels=[32, 48, 96, 176], channels=32, num_classes=len(classes)),
    auxiliary_head=dict(in_channels=96, channels=32, num_classes=len(classes)))
"""

SMALL = [
    'default_hooks.logger.interval=1',
    *(f'{split}_dataloader.num_workers=0' for split in ('train', 'val', 'test')),
    *(f'{split}_dataloader.persistent_workers=False' for split in ('train', 'val', 'test')),
]
SMALL_RETINANET = [
    'train_cfg.max_epochs=1',
    'train_dataloader.batch_size=3',
    'train_dataloader.dataset.pipeline.2.scale=(128,128)',
    'test_dataloader.dataset.pipeline.1.scale=(128,128)',
    'val_dataloader.dataset.pipeline.1.scale=(128,128)',
    'val_evaluator.classwise=True',
    'test_evaluator.classwise=True',
]
SMALL_MASK2FORMER = [
    *SMALL_RETINANET[1:2],
    *SMALL_RETINANET[3:],
    'train_cfg.max_iters=2',
    'train_cfg.val_interval=2',
    'train_cfg.dynamic_intervals=None',
    'model.data_preprocessor.batch_augments=None',
    'model.test_cfg.max_per_image=10',  # of the 10 queries
    'train_dataloader.dataset.pipeline.3.scale=(128,128)',
    'train_dataloader.dataset.pipeline.4.crop_size=(128,128)',
]
SMALL_UPERNET = [
    'train_cfg.max_iters=2',
    'train_cfg.val_interval=2',
    'train_dataloader.batch_size=2',
    'model.data_preprocessor.size=(64,64)',
    'train_dataloader.dataset.pipeline.2.scale=(64,64)',
    'train_dataloader.dataset.pipeline.3.crop_size=(64,64)',
    'val_dataloader.dataset.pipeline.1.scale=(64,64)',
    'test_dataloader.dataset.pipeline.1.scale=(64,64)',
]


@pytest.fixture
def own_coco(coco_root: Path, tmp_path: Path) -> Path:
    """Real pictures with three classes under names of their own, in a file that mmdet alone would misread."""
    root = tmp_path / 'own'
    root.mkdir()
    (root / 'val2017').symlink_to(coco_root.resolve() / 'val2017')
    table = json.loads((coco_root / 'annotations' / 'instances_val2017.json').read_text())
    table['categories'] = [c | {'name': RENAMED[c['name']]} for c in table['categories'] if c['name'] in RENAMED]
    ids = {category['id'] for category in table['categories']}
    table['annotations'] = [a for a in table['annotations'] if a['category_id'] in ids]
    table['categories'].reverse()  # mmdet would number classes by the file's order
    for annotation in table['annotations']:
        del annotation['iscrowd'], annotation['area']  # as many tools write
    (root / 'own.json').write_text(json.dumps(table))
    return root


def _train(text: str, options: list[str], folder: Path) -> tuple[ConfigOptions, dict[str, torch.Tensor], dict]:
    """Options, weights and meta of a training whose losses were all finite."""
    config = folder / 'own.py'
    config.write_text(text)
    run = ConfigOptions(config, cfg_options=(*SMALL, *options), work_dir=folder / 'work', from_scratch=True)
    work_dir = train(run)
    (log,) = work_dir.glob('*/vis_data/scalars.json')
    losses = [line['loss'] for line in map(json.loads, log.read_text().splitlines()) if 'loss' in line]
    assert losses and all(map(math.isfinite, losses)) and min(losses) > 0
    (checkpoint,) = work_dir.glob('*.pth')
    content = torch.load(checkpoint, map_location='cpu', weights_only=False)
    return run, content['state_dict'], content['meta']['dataset_meta']


def test_retinanet(own_coco: Path, tmp_path: Path) -> None:
    base = 'retinanet/retinanet_r50_fpn_1x_coco.py'
    text = DETECTOR.format(base=base, classes=OWN, root=str(own_coco), heads=RETINANET)
    options, state, meta = _train(text, [*SMALL_RETINANET, 'model.test_cfg.score_thr=0.0'], tmp_path)
    assert state['bbox_head.retina_cls.weight'].shape[0] == 9 * 3 and tuple(meta['classes']) == OWN
    metrics = evaluate(options, EvaluationOptions(options.work_dir))
    assert {f'coco/{name}_precision' for name in OWN} <= set(metrics)


def test_mask2former(own_coco: Path, tmp_path: Path) -> None:
    base = 'mask2former/mask2former_r50_8xb2-lsj-50e_coco.py'
    text = DETECTOR.format(base=base, classes=OWN, root=str(own_coco), heads=MASK2FORMER)
    options, state, meta = _train(text, SMALL_MASK2FORMER, tmp_path)
    assert state['panoptic_head.cls_embed.weight'].shape[0] == 3 + 1 and tuple(meta['classes']) == OWN
    metrics = evaluate(options, EvaluationOptions(options.work_dir))
    assert {f'coco/{name}_precision' for name in OWN} <= set(metrics)


def test_upernet(tmp_path: Path) -> None:
    base = Path(mmseg.__file__).parent / '.mim' / 'configs' / 'upernet' / 'upernet_r50_4xb4-80k_ade20k-512x512.py'
    names = tuple(f'my class {number}' for number in range(1, 7))
    root = ensure_ade_shapes(tmp_path / 'ade', ShapesSpec({'training': 2, 'validation': 2}, 64, 0))
    options, state, meta = _train(
        SEGMENTOR.format(base=str(base), classes=names, root=str(root)), SMALL_UPERNET, tmp_path
    )
    assert state['decode_head.conv_seg.weight'].shape[0] == 6 and tuple(meta['classes']) == names
    metrics = evaluate(options, EvaluationOptions(options.work_dir))
    assert 0 < metrics['aAcc'] <= 100 and metrics['mIoU'] > 0
