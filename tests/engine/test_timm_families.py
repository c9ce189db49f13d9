"""Families of timm inside Mask R-CNN and Semantic FPN: a step of training and predictions, on real pictures."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config, ConfigDict
from mmengine.dataset import pseudo_collate
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapper
from mmengine.registry import DATASETS, MODELS

from effformer_dense import TimmFeatures
from effformer_dense.config.load import enter_scope
from tests.backbones.test_timm_features import FAMILIES
from tests.helpers import PROJECT_ROOT, SHARED

pytestmark = [pytest.mark.slow, pytest.mark.minutes]

#: (width, height) into which pictures are fitted, of training and of testing. The last gives those of 4:3 odd sides.
TRAINED, TESTED = (224, 160), ((224, 160), (187, 150))
ADE = SHARED / 'data' / 'ade'


def _config(kind: str, name: str) -> Config:
    """The demo's model with a network of timm, and the classes of the pictures' data set."""
    cfg = Config.fromfile(PROJECT_ROOT / 'configs' / f'{kind}_v2_s0_shapes.py')
    enter_scope(cfg)
    size = dict(img_size=(224, 224)) if name.startswith('levit') else {}  # for one size: smaller ones are filled up
    cfg.model.backbone = ConfigDict(type='TimmFeatures', model_name=name, **size)
    cfg.model.neck.in_channels = list(TimmFeatures(name, **size).out_channels)
    for head in (cfg.model.roi_head.bbox_head, cfg.model.roi_head.mask_head) if kind == 'maskrcnn' else ():
        head.num_classes = 80
    if kind == 'semfpn':
        cfg.model.decode_head.num_classes = 150
        cfg.model.data_preprocessor.size = TRAINED[::-1]
    return cfg


def _dataset(kind: str, coco: Path, scale: tuple[int, int]) -> Any:
    load, resize = dict(type='LoadImageFromFile'), dict(type='Resize', scale=scale, keep_ratio=True)
    if kind == 'maskrcnn':
        annotations = dict(type='LoadAnnotations', with_bbox=True, with_mask=True)
        files: dict[str, Any] = dict(
            type='CocoDataset',
            data_root=str(coco),
            ann_file='annotations/instances_val2017.json',
            data_prefix=dict(img='val2017/'),
            filter_cfg=dict(filter_empty_gt=True),
        )
        pack = dict(type='PackDetInputs')
    else:
        annotations, pack = dict(type='LoadSegmentationMap', num_classes=150), dict(type='PackSegInputs')
        prefix = dict(img_path='images/validation', seg_map_path='annotations/validation')
        files = dict(type='ADE20KDataset', data_root=str(ADE), data_prefix=prefix)
    return DATASETS.build(dict(**files, pipeline=[load, annotations, resize, pack]))


def _learn(model: BaseModel, batch: dict) -> None:
    optimizer = OptimWrapper(torch.optim.SGD(model.parameters(), lr=1e-3))
    before = [parameter.detach().clone() for parameter in model.backbone.parameters()]
    losses = model.train().train_step(batch, optimizer)
    assert all(math.isfinite(loss) for loss in losses.values()) and losses['loss'] > 0
    after = list(model.backbone.parameters())
    assert any(not torch.equal(old, new) for old, new in zip(before, after, strict=True))
    assert all(parameter.isfinite().all() for parameter in after)


@pytest.mark.parametrize('name', FAMILIES)
@pytest.mark.parametrize('kind', ['maskrcnn', 'semfpn'])
def test_a_family_learns_and_predicts(kind: str, name: str, coco_root: Path) -> None:
    if kind == 'semfpn' and not ADE.is_dir():
        pytest.skip(f'needs the ADE20K pictures in {ADE}')
    torch.manual_seed(0)
    model = MODELS.build(_config(kind, name).model)
    pictures = _dataset(kind, coco_root, TRAINED)
    _learn(model, pseudo_collate([pictures[0], pictures[1]]))
    odd = 0
    for scale in TESTED:
        item = _dataset(kind, coco_root, scale)[0]
        with torch.no_grad():
            (found,) = model.eval().test_step(pseudo_collate([item]))
        height, width = found.ori_shape
        odd += sum(side % 2 for side in found.img_shape[:2])
        if kind == 'maskrcnn':
            assert found.pred_instances.masks.shape[1:] == (height, width)
            assert found.pred_instances.scores.isfinite().all()
        else:
            labels = found.pred_sem_seg.data
            assert labels.shape == (1, height, width) and 0 <= labels.min() <= labels.max() < 150
    assert odd, 'no side was odd'
