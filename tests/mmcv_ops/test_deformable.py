"""Deformable convolution and attention."""

from __future__ import annotations

import pytest
import torch
from mmcv.ops import deform_conv2d, modulated_deform_conv2d
from mmcv.ops.multi_scale_deform_attn import MultiScaleDeformableAttnFunction, multi_scale_deformable_attn_pytorch
from torch import Tensor
from torch.nn import functional as F

pytestmark = pytest.mark.usefixtures('with_stand_in')


def _random(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, requires_grad=True)


@pytest.mark.parametrize('groups', [1, 2])
@pytest.mark.parametrize(('stride', 'padding', 'dilation'), [(1, 1, 1), (2, 1, 1), ((2, 1), (0, 2), (1, 2))])
def test_without_offsets_it_is_a_convolution(stride: int, padding: int, dilation: int, groups: int) -> None:
    images, weight, bias = _random(2, 4, 9, 11), _random(6, 4 // groups, 3, 3), _random(6)
    expected = F.conv2d(images, weight, None, stride, padding, dilation, groups)
    offset = expected.new_zeros(2, 18, *expected.shape[2:])
    torch.testing.assert_close(deform_conv2d(images, offset, weight, stride, padding, dilation, groups), expected)
    mask = torch.full_like(offset[:, :9], 0.5)
    output = modulated_deform_conv2d(images, offset, mask, weight, bias, stride, padding, dilation, groups)
    torch.testing.assert_close(output, 0.5 * expected + bias[:, None, None])


def test_offsets_move_what_is_read_down_and_to_the_right() -> None:
    images, weight = _random(1, 2, 8, 9), _random(3, 2, 1, 1)
    offset = torch.zeros(1, 2, 8, 9, dtype=torch.float64)
    offset[:, 0], offset[:, 1] = 2, 1  # y, x
    moved = F.pad(images, (0, 1, 0, 2))[:, :, 2:, 1:]
    torch.testing.assert_close(deform_conv2d(images, offset, weight), F.conv2d(moved, weight))


@pytest.mark.parametrize('offset_groups', [1, 2])
@pytest.mark.parametrize('with_bias', [True, False])
def test_gradients(with_bias: bool, offset_groups: int) -> None:
    images, weight, bias = _random(2, 2, 3, 4), _random(2, 2, 2, 2), _random(2) if with_bias else None
    offset, mask = _random(2, 8 * offset_groups, 2, 3), _random(2, 4 * offset_groups, 2, 3)
    settings = (1, 0, 1, 1, offset_groups)
    assert torch.autograd.gradcheck(lambda *a: deform_conv2d(*a, *settings), (images, offset, weight))
    inputs = (images, offset, mask, weight, *((bias,) if with_bias else ()))
    assert torch.autograd.gradcheck(
        lambda *a: modulated_deform_conv2d(*a, *(() if with_bias else (None,)), *settings), inputs
    )


def test_attention_is_mmcvs_own_code_with_gradients() -> None:
    shapes = torch.tensor([[4, 5], [2, 3]])
    starts = torch.tensor([0, 20])
    value = _random(2, 26, 2, 3)
    locations = torch.rand(2, 4, 2, 2, 3, 2, dtype=torch.float64, requires_grad=True)
    weights = torch.rand(2, 4, 2, 2, 3, dtype=torch.float64, requires_grad=True)
    output = MultiScaleDeformableAttnFunction.apply(value, shapes, starts, locations, weights, 64)
    expected = multi_scale_deformable_attn_pytorch(value, shapes, locations, weights)
    assert torch.equal(output, expected) and output.shape == (2, 4, 6)
    direction = torch.randn_like(output)
    for ours, theirs in zip(
        torch.autograd.grad(output, (value, locations, weights), direction),
        torch.autograd.grad(expected, (value, locations, weights), direction),
        strict=True,
    ):
        assert torch.equal(ours, theirs)
