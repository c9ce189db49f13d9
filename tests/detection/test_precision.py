"""Detectors in bfloat16: boxes where they were, and what would suffer in single precision."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torchvision.ops import box_iou

from effformer_dense.deploy import fuse
from tests.deploy.test_precision import BF16
from tests.detection.test_graph import picture, predicted

pytestmark = BF16


@pytest.mark.parametrize('kind', ['mask', 'faster', 'retina'])
def test_boxes_are_near(kind: str, build_detector: Callable) -> None:
    model = build_detector(kind)
    fused = fuse(model, 'bf16')
    wanted, found = (predicted(one, picture(160, 224)) for one in (model, fused))
    sure = wanted[wanted.scores >= wanted.scores.sort().values[-10]]
    same = sure.labels[:, None] == found.labels
    assert found.bboxes.dtype == found.scores.dtype == torch.float32
    overlaps = (box_iou(sure.bboxes, found.bboxes) * same).max(dim=1).values
    assert int((overlaps > 0.9).sum()) >= 7, overlaps  # seen: 8 of 10; the others are of regions that NMS chose between


def test_where_single_precision_stays(build_detector: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    """Boxes 1000 px from the corner would lie on a grid of 4 px in bfloat16."""
    fused = fuse(build_detector('mask'), 'bf16')
    seen: dict[str, set[torch.dtype]] = {}

    def watch(name: str) -> Callable:
        def hook(module, inputs, outputs) -> None:
            seen.setdefault(name, set()).update(dtypes_in((inputs, outputs)))

        return hook

    heads = fused.roi_head
    for name, module in [('roi', heads.bbox_roi_extractor), ('fc_cls', heads.bbox_head.fc_cls)]:
        module.register_forward_hook(watch(name))
    for name, module in [('neck', fused.neck), ('rpn', fused.rpn_head), ('backbone', fused.backbone)]:
        module.register_forward_hook(lambda m, i, o, name=name: watch(name)(m, (), o))
    result = predicted(fused, picture(97, 131))
    assert seen['roi'] == seen['neck'] == seen['rpn'] == seen['backbone'] == {torch.float32}
    assert seen['fc_cls'] == {torch.bfloat16}
    assert len(result) > 5 and result.masks.dtype == torch.bool


def test_copied_detectors_compute_by_themselves(build_detector: Callable) -> None:
    fused = fuse(build_detector('mask'), 'bf16')
    other = copy.deepcopy(fused)
    before = predicted(fused, picture(97, 131))
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.zero_()
    assert torch.equal(before.bboxes, predicted(fused, picture(97, 131)).bboxes)
    assert not torch.equal(before.scores[:5], predicted(other, picture(97, 131)).scores[:5])


def test_pictures_without_objects(build_detector: Callable) -> None:
    """Heads are called with no regions at all."""
    model = build_detector('mask', lambda config: config['test_cfg']['rpn'].update(min_bbox_size=10_000))
    assert len(predicted(fuse(model, 'bf16'), picture(97, 131))) == 0


def dtypes_in(value: object) -> set[torch.dtype]:
    if isinstance(value, Tensor):
        return {value.dtype}
    return set().union(*map(dtypes_in, value)) if isinstance(value, list | tuple) else set()
