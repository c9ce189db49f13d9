"""The stand-in and mmcv's compiled ops on the same inputs: equal to the bit, but where a test says otherwise."""

from __future__ import annotations

from types import ModuleType

import pytest
import torch
from mmcv.ops import deform_conv2d, modulated_deform_conv2d
from torch import Tensor

from .conftest import Use
from .samples import KINDS, make_boxes, make_regions

SEEDS = range(12)


@pytest.mark.parametrize('offset', [0, 1])
@pytest.mark.parametrize('kind', KINDS)
def test_nms(kind: str, offset: int, compiled: ModuleType, stand_in: ModuleType) -> None:
    for seed in SEEDS:
        boxes, scores = make_boxes(kind, seed)
        for threshold in (0.1, 0.3, 0.5, 0.7):
            arguments = dict(iou_threshold=threshold, offset=offset)
            assert torch.equal(stand_in.nms(boxes, scores, **arguments), compiled.nms(boxes, scores, **arguments))


@pytest.mark.parametrize('offset', [0, 1])
@pytest.mark.parametrize('method', [0, 1, 2])
@pytest.mark.parametrize('kind', KINDS)
def test_soft_nms(kind: str, method: int, offset: int, compiled: ModuleType, stand_in: ModuleType) -> None:
    """The same boxes in the same order; scores to a rounding of the exponential."""
    for seed in SEEDS:
        boxes, scores = make_boxes(kind, seed)
        arguments = dict(iou_threshold=0.3, sigma=0.5, min_score=0.05, method=method, offset=offset)
        ours, theirs = torch.zeros(len(boxes), 5), torch.zeros(len(boxes), 5)
        kept = stand_in.softnms(boxes, scores, ours, **arguments)
        assert torch.equal(kept, compiled.softnms(boxes, scores, theirs, **arguments))
        tolerance = 1e-6 if method == 2 else 0
        torch.testing.assert_close(
            ours[: len(kept)], theirs[: len(kept)], rtol=tolerance, atol=tolerance, equal_nan=True
        )


@pytest.mark.parametrize('kind', KINDS)
def test_nms_match(kind: str, compiled: ModuleType, stand_in: ModuleType) -> None:
    for seed in SEEDS:
        boxes, scores = make_boxes(kind, seed)
        dets = torch.cat([boxes, scores[:, None]], dim=1)
        assert stand_in.nms_match(dets, iou_threshold=0.4) == compiled.nms_match(dets, iou_threshold=0.4)


def _roi_align(ops: ModuleType, features: Tensor, regions: Tensor, **settings: object) -> tuple[Tensor, Tensor]:
    """Output, and gradient of the sum of its squares."""
    size = (settings['aligned_height'], settings['aligned_width'])
    output = features.new_zeros(len(regions), features.shape[1], *size)
    unused = features.new_zeros(0)
    ops.roi_align_forward(features, regions, output, unused, unused, **settings)
    gradient = torch.zeros_like(features)
    ops.roi_align_backward(2 * output, regions, unused, unused, gradient, **settings)
    return output, gradient


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
@pytest.mark.parametrize('size', [(7, 7), (14, 14), (1, 3)])
@pytest.mark.parametrize('ratio', [0, 2])
@pytest.mark.parametrize('aligned', [True, False])
def test_roi_align(
    aligned: bool, ratio: int, size: tuple[int, int], dtype: torch.dtype, compiled: ModuleType, stand_in: ModuleType
) -> None:
    settings = dict(
        aligned_height=size[0],
        aligned_width=size[1],
        spatial_scale=0.25 if dtype == torch.float64 else 1 / 3,  # which mmcv takes as a float
        sampling_ratio=ratio,
        pool_mode=1,
        aligned=aligned,
    )
    for seed, (height, width) in enumerate([(50, 84), (3, 7), (31, 20)]):
        features = torch.randn(2, 8, height, width, dtype=dtype)
        regions = make_regions(seed, height, width, stride=4).to(dtype)
        for ours, theirs in zip(
            _roi_align(stand_in, features, regions, **settings),
            _roi_align(compiled, features, regions, **settings),
            strict=True,
        ):
            torch.testing.assert_close(ours, theirs, rtol=2e-6, atol=1e-5)
        trained = [
            _roi_align(ops, features.requires_grad_(), regions, **settings)[0].detach() for ops in (stand_in, compiled)
        ]
        assert torch.equal(*trained), 'to the bit where gradients are wanted'


def test_roi_align_in_half_precision_is_nearer_to_the_truth(compiled: ModuleType, stand_in: ModuleType) -> None:
    """mmcv's CPU op has no bfloat16, and adds up its samples in float16."""
    settings = dict(aligned_height=7, aligned_width=7, spatial_scale=0.25, sampling_ratio=0, pool_mode=1, aligned=True)
    features, regions = torch.randn(2, 8, 50, 84), make_regions(0, 50, 84, stride=4).half()
    truth = _roi_align(compiled, features.half().double(), regions.double(), **settings)[0]
    deviation = lambda ops: (  # noqa: E731
        (_roi_align(ops, features.half(), regions, **settings)[0].double() - truth).abs().max()
    )
    assert deviation(stand_in) < 2e-3 < deviation(compiled)
    with pytest.raises(RuntimeError, match='BFloat16'):
        _roi_align(compiled, features.bfloat16(), regions.bfloat16(), **settings)
    regions = regions.bfloat16()
    truth = _roi_align(compiled, features.bfloat16().double(), regions.double(), **settings)[0]
    assert (_roi_align(stand_in, features.bfloat16(), regions, **settings)[0].double() - truth).abs().max() < 2e-2


@pytest.mark.parametrize('offset_groups', [1, 4])
@pytest.mark.parametrize('groups', [1, 2])
@pytest.mark.parametrize(('stride', 'padding', 'dilation'), [(1, 1, 1), (2, 0, 2)])
def test_deformable_convolution(
    stride: int,
    padding: int,
    dilation: int,
    groups: int,
    offset_groups: int,
    compiled: ModuleType,
    stand_in: ModuleType,
    use: Use,
) -> None:
    """To a rounding: the products are added up in another order."""
    torch.manual_seed(0)
    images, weight, bias = torch.randn(2, 8, 15, 17), torch.randn(6, 8 // groups, 3, 3), torch.randn(6)
    settings = (stride, padding, dilation, groups, offset_groups)
    height, width = ((side + 2 * padding - 2 * dilation - 1) // stride + 1 for side in (15, 17))
    offset = 3 * torch.randn(2, 18 * offset_groups, height, width)
    mask = torch.rand(2, 9 * offset_groups, height, width)
    results = []
    for ops in (compiled, stand_in):
        use(ops)
        leaves = [tensor.clone().requires_grad_() for tensor in (images, offset, mask, weight, bias)]
        plain = deform_conv2d(leaves[0], leaves[1], leaves[3], *settings)
        modulated = modulated_deform_conv2d(*leaves, *settings)
        (plain.square().sum() + modulated.square().sum()).backward()
        results.append([plain.detach(), modulated.detach(), *(leaf.grad for leaf in leaves)])
    for theirs, ours in zip(*results, strict=True):
        assert float((ours - theirs).abs().max() / theirs.abs().max()) < 5e-6
