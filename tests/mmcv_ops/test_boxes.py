"""NMS and its relatives, against loops over their definitions."""

from __future__ import annotations

import pytest
import torch
from mmcv.ops import batched_nms, nms, nms_match, soft_nms
from torch import Tensor

from .samples import KINDS, make_boxes

pytestmark = pytest.mark.usefixtures('with_stand_in')


def _iou(one: Tensor, other: Tensor, offset: int = 0) -> float:
    sides = (torch.minimum(one[2:], other[2:]) - torch.maximum(one[:2], other[:2]) + offset).clamp(min=0)
    area = lambda box: (box[2:] - box[:2] + offset).prod()  # noqa: E731
    return float(sides.prod() / (area(one) + area(other) - sides.prod()))


def _greedy(boxes: Tensor, scores: Tensor, threshold: float, offset: int) -> list[int]:
    kept: list[int] = []
    for index in scores.sort(descending=True).indices.tolist():
        if not any(_iou(boxes[better], boxes[index], offset) > threshold for better in kept):
            kept.append(index)
    return kept


@pytest.mark.parametrize('offset', [0, 1])
@pytest.mark.parametrize('kind', KINDS)
def test_nms_keeps_what_no_better_box_overlaps(kind: str, offset: int) -> None:
    boxes, scores = make_boxes(kind, seed=1, count=40)
    expected = _greedy(boxes, scores, 0.3, offset)
    dets, kept = nms(boxes, scores, 0.3, offset=offset)
    assert kept.tolist() == expected and 5 < len(expected) < 40
    assert torch.equal(dets, torch.cat([boxes, scores[:, None]], dim=1)[kept])


def test_nms_judges_a_pair_at_the_threshold_as_mmcv_does() -> None:
    """30 of 100 px: 0.3 in float32, which is more than 0.3 in float64, and both boxes stay."""
    boxes, scores = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 3]]), torch.tensor([0.9, 0.8])
    assert nms(boxes, scores, 0.3)[1].tolist() == [0, 1]
    assert nms(boxes, scores, 0.29)[1].tolist() == [0]


def test_nms_of_nothing_and_of_numpy_arrays() -> None:
    assert len(nms(torch.zeros(0, 4), torch.zeros(0), 0.5)[1]) == 0
    boxes, scores = make_boxes('scattered', seed=2)
    expected = nms(boxes, scores, 0.5, score_threshold=0.2, max_num=9)[1]
    kept = nms(boxes.numpy(), scores.numpy(), 0.5, score_threshold=0.2, max_num=9)[1]
    assert kept.tolist() == expected.tolist() and len(kept) == 9


@pytest.mark.parametrize('dtype', [torch.float64, torch.float16, torch.bfloat16])
def test_nms_of_other_types_keeps_what_it_keeps_of_the_same_numbers_in_float32(dtype: torch.dtype) -> None:
    boxes, scores = (tensor.to(dtype) for tensor in make_boxes('scattered', seed=3))
    assert torch.equal(nms(boxes, scores, 0.5)[1], nms(boxes.float(), scores.float(), 0.5)[1])


@pytest.mark.parametrize('split_thr', [10000, 10], ids=['at once', 'class by class'])
def test_batched_nms_compares_within_a_class_only(split_thr: int) -> None:
    boxes, scores = make_boxes('whole pixels', seed=4, count=90)
    classes = torch.arange(len(boxes)) % 3
    _, kept = batched_nms(boxes, scores, classes, dict(type='nms', iou_threshold=0.4, split_thr=split_thr))
    expected = []
    for label in range(3):
        members = (classes == label).nonzero()[:, 0]
        expected += members[_greedy(boxes[members], scores[members], 0.4, 0)].tolist()
    assert sorted(kept.tolist()) == sorted(expected)
    assert scores[kept].tolist() == sorted(scores[expected].tolist(), reverse=True)


@pytest.mark.parametrize('offset', [0, 1])
@pytest.mark.parametrize('method', ['naive', 'linear', 'gaussian'])
def test_soft_nms_lowers_the_scores_of_what_a_better_box_overlaps(method: str, offset: int) -> None:
    boxes, scores = make_boxes('scattered', seed=5, count=60)
    left, lowered = dict(enumerate(scores.tolist())), {}
    while left:
        best = max(left, key=left.get)
        lowered[best] = left.pop(best)
        for index in list(left):
            overlap = _iou(boxes[best], boxes[index], offset)
            factor = {'naive': 0.0, 'linear': 1 - overlap}.get(method, 1.0) if overlap >= 0.3 else 1.0
            left[index] *= torch.tensor(-(overlap**2) / 0.5).exp().item() if method == 'gaussian' else factor
            if left[index] < 0.05:
                del left[index]
    dets, kept = soft_nms(boxes, scores, 0.3, sigma=0.5, min_score=0.05, method=method, offset=offset)
    assert kept.tolist() == list(lowered)
    assert torch.equal(dets[:, :4], boxes[kept])
    torch.testing.assert_close(dets[:, 4], torch.tensor(list(lowered.values())), rtol=1e-5, atol=1e-6)


def test_soft_nms_of_nothing() -> None:
    dets, kept = soft_nms(torch.zeros(0, 4), torch.zeros(0))
    assert dets.shape == (0, 5) and kept.tolist() == []


@pytest.mark.parametrize('kind', ['scattered', 'equal scores', 'repeated'])
def test_nms_match_groups_every_box_with_the_one_that_suppresses_it(kind: str) -> None:
    boxes, scores = make_boxes(kind, seed=6, count=60)
    groups = [group.tolist() for group in nms_match(torch.cat([boxes, scores[:, None]], dim=1), 0.45)]
    assert sorted(index for group in groups for index in group) == list(range(len(boxes)))
    heads = [group[0] for group in groups]
    assert heads == _greedy(boxes, scores, 0.45, 0)
    for position, (head, *others) in enumerate(groups):
        for index in others:
            assert _iou(boxes[head], boxes[index]) >= 0.45
            assert all(_iou(boxes[better], boxes[index]) < 0.45 for better in heads[:position])
