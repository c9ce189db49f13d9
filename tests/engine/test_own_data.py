"""Data sets with classes of their own, in configs as people write them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from effformer_dense.data.coco_layout import ensure_coco_shapes
from effformer_dense.data.generated import ShapesSpec
from effformer_dense.data.shapes import CLASSES
from effformer_dense.engine.runner import evaluate, train
from effformer_dense.options import ConfigOptions, EvaluationOptions
from tests.helpers import PROJECT_ROOT

pytestmark = pytest.mark.slow

OWN = tuple(f'my {name}' for name in CLASSES)

MASK_RCNN = """
_base_ = {base!r}
classes = {classes!r}
data = dict(data_root={root!r}, ann_file='annotations/val.json', data_prefix=dict(img='val/'), metainfo=dict(classes=classes))
train_dataloader = dict(dataset=data)
val_dataloader = dict(dataset=data)
test_dataloader = val_dataloader
val_evaluator = dict(ann_file={root!r} + '/annotations/val.json')
test_evaluator = val_evaluator
model = dict(roi_head=dict(bbox_head=dict(num_classes=len(classes)), mask_head=dict(num_classes=len(classes))))
"""  # noqa: E501

SMALL = [
    'train_cfg.max_epochs=1',
    'train_dataloader.dataset.pipeline.2.scale=(96,96)',
    'test_dataloader.dataset.pipeline.1.scale=(96,96)',
    'val_dataloader.dataset.pipeline.1.scale=(96,96)',
    'model.train_cfg.rpn_proposal.max_per_img=50',
    'model.test_cfg.rpn.max_per_img=50',
    *(f'{split}_dataloader.num_workers=0' for split in ('train', 'val', 'test')),
    *(f'{split}_dataloader.persistent_workers=False' for split in ('train', 'val', 'test')),
]


@pytest.fixture
def own_root(tmp_path: Path) -> Path:
    """Shapes under names that no data set class knows."""
    root = ensure_coco_shapes(tmp_path / 'own', ShapesSpec({'val': 3}, 64, 0))
    path = root / 'annotations' / 'val.json'
    table = json.loads(path.read_text())
    for category in table['categories']:
        category['name'] = f'my {category["name"]}'
    path.write_text(json.dumps(table))
    return root


def test_coco_dataset_with_classes_of_its_own(own_root: Path, tmp_path: Path) -> None:
    config = tmp_path / 'own.py'
    base = str(PROJECT_ROOT / 'configs' / 'maskrcnn_v2_s0_coco.py')
    config.write_text(MASK_RCNN.format(base=base, classes=OWN, root=str(own_root)))
    options = ConfigOptions(config, cfg_options=SMALL, work_dir=tmp_path / 'work', from_scratch=True)
    work_dir = train(options)
    metrics = evaluate(options, EvaluationOptions(work_dir))
    assert metrics['coco/bbox_mAP'] >= 0, '-1: no class was found in the annotations'
    with pytest.raises(ValueError, match=r'has no category disc, .*\(5 of 5 classes are missing\)'):
        config.write_text(MASK_RCNN.format(base=base, classes=CLASSES, root=str(own_root)))
        train(options)
