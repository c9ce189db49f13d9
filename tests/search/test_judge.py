"""Metrics of a search."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

pytest.importorskip('mmdet')

from effformer_dense.errors import UserError
from effformer_dense.search.judge import Judge


@pytest.mark.parametrize('score', ['mAP', 'mAP_50', 'bbox_mAP_75', 'coco/bbox_mAP'])
def test_a_detector_that_finds_nothing_scores_nought(score: str, tmp_path: Path) -> None:
    pytest.importorskip('mmdet')
    image, category = dict(id=1, file_name='1.png', height=64, width=64), dict(id=1, name='a')
    (tmp_path / 'x.json').write_text(json.dumps(dict(images=[image], annotations=[], categories=[category])))
    nothing = dict(bboxes=torch.zeros(0, 4), scores=torch.zeros(0), labels=torch.zeros(0, dtype=torch.long))
    predictions = [dict(img_id=1, ori_shape=(64, 64), pred_instances=nothing)]
    metric = dict(type='mmdet.CocoMetric', ann_file=str(tmp_path / 'x.json'), metric=['bbox'])
    judge, other = (Judge(metric, dict(classes=('a',)), [1], wanted) for wanted in (score, 'mIoU'))
    for one in (judge, other):
        one.add(predictions)
    assert judge.tell() == 0.0
    with pytest.raises(UserError, match='computes no metric mIoU'):
        other.tell()
