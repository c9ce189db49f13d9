"""Heads of mmdet and mmsegmentation on our backbones: trained, scored and drawn by the commands."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from PIL import Image

from effformer_dense.engine.infer import infer
from effformer_dense.engine.runner import evaluate, train
from effformer_dense.options import ConfigOptions, EvaluationOptions, InferOptions
from tests.helpers import PROJECT_ROOT

pytestmark = pytest.mark.slow

CONFIGS = sorted((PROJECT_ROOT / 'configs' / 'heads').glob('*_shapes.py'))
SEGMENTORS = ('upernet', 'segformer', 'deeplabv3plus')
#: Four scenes of 64 px, in two iterations.
SMALL = """
_base_ = {base!r}
data_root = {root!r}
loader = dict(batch_size=2, num_workers=0, persistent_workers=False,
    dataset=dict(data_root=data_root, shapes=dict(splits={splits!r}, size_px=64, seed=0)))
train_dataloader = loader
val_dataloader = loader
test_dataloader = val_dataloader
train_cfg = dict({loop}=2, val_interval=2)
param_scheduler = []
default_hooks = dict(logger=dict(interval=1), checkpoint=dict(interval=2))
"""
DETECTOR = (
    SMALL.replace('=2, val', '=1, val').replace('checkpoint=dict(interval=2)', 'checkpoint=dict(interval=1)')
    + """
val_evaluator = dict(ann_file=data_root + 'annotations/val.json')
model = dict(test_cfg=dict(score_thr=0.0))  # of heads of one stage: something is found after two iterations, too
test_evaluator = val_evaluator
"""
)


def _smaller(path: Path, folder: Path, segments: bool) -> Path:
    splits = dict(zip(('training', 'validation') if segments else ('train', 'val'), (4, 2), strict=True))
    text, loop = (SMALL, 'max_iters') if segments else (DETECTOR, 'max_epochs')
    small = folder / 'small.py'
    small.write_text(text.format(base=str(path), root=f'{folder / "shapes"}/', splits=splits, loop=loop))
    return small


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem.removesuffix('_v2_s0_shapes'))
def test_every_head_learns_is_scored_and_draws(path: Path, tmp_path: Path) -> None:
    segments = path.name.startswith(SEGMENTORS)
    options = ConfigOptions(_smaller(path, tmp_path, segments), work_dir=tmp_path / 'work', from_scratch=True)
    work_dir = train(options)
    (log,) = work_dir.glob('*/vis_data/scalars.json')
    losses = [line['loss'] for line in map(json.loads, log.read_text().splitlines()) if 'loss' in line]
    assert len(losses) == 2 and all(map(math.isfinite, losses)) and min(losses) > 0
    scores = evaluate(options, EvaluationOptions(work_dir))
    masks = any(kind in path.name for kind in ('maskrcnn', 'rtmdet_ins', 'mask2former'))
    expected = {'mIoU'} if segments else {'coco/bbox_mAP'} | ({'coco/segm_mAP'} if masks else set())
    assert expected <= set(scores) and masks == ('coco/segm_mAP' in scores)

    picture = tmp_path / 'picture.png'
    Image.effect_noise((75, 49), 90).convert('RGB').save(picture)
    infer(options, InferOptions(work_dir, str(picture), tmp_path / 'out'))
    drawn = [path for path in (tmp_path / 'out').rglob('picture*') if path.suffix in ('.png', '.jpg')]
    assert drawn and all(Image.open(path).size[1] >= 49 for path in drawn)
