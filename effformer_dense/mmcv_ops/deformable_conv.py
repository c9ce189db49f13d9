"""Deformable convolution, plain (arXiv 1703.06211) and modulated (arXiv 1811.11168), by torchvision's op.

Shapes: input (B, C, H, W); offset (B, 2 x groups of offsets x kernel, H', W'), y before x; mask (B, groups of
offsets x kernel, H', W'); weight (C', C / group, kernel height, kernel width). Sizes that mmcv names for its work space
(``columns``, ``ones``, ``im2col_step``) are not used.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .precision import as_deterministic_as_mmcv, computable

# What torchvision's op takes, in its order, by the names that mmcv's two ops have for it.
_PLAIN = ('dH', 'dW', 'padH', 'padW', 'dilationH', 'dilationW', 'group', 'deformable_group')
_MODULATED = ('stride_h', 'stride_w', 'pad_h', 'pad_w', 'dilation_h', 'dilation_w', 'group', 'deformable_group')


def deform_conv_forward(
    input: Tensor, weight: Tensor, offset: Tensor, output: Tensor, columns: Tensor, ones: Tensor, **geometry: int
) -> None:
    """Fill ``output``."""
    tensors = computable(input, weight, offset)
    steps = [geometry[name] for name in _PLAIN]
    output.copy_(torch.ops.torchvision.deform_conv2d(*tensors, *_no_mask_no_bias(input, weight), *steps, False))


def deform_conv_backward_input(
    input: Tensor,
    offset: Tensor,
    grad_output: Tensor,
    grad_input: Tensor,
    grad_offset: Tensor,
    weight: Tensor,
    columns: Tensor,
    **geometry: int,
) -> None:
    """Fill the gradients of input and offset."""
    gradients = _plain_gradients(input, weight, offset, grad_output, geometry)
    grad_input.copy_(gradients[0])
    grad_offset.copy_(gradients[2])


def deform_conv_backward_parameters(
    input: Tensor,
    offset: Tensor,
    grad_output: Tensor,
    grad_weight: Tensor,
    columns: Tensor,
    ones: Tensor,
    scale: float,
    **geometry: int,
) -> None:
    """Add ``scale`` times the gradient of the weight."""
    weight = torch.zeros_like(grad_weight)  # its gradient does not depend on it
    grad_weight.add_(_plain_gradients(input, weight, offset, grad_output, geometry)[1], alpha=scale)


def modulated_deform_conv_forward(
    input: Tensor,
    weight: Tensor,
    bias: Tensor,
    ones: Tensor,
    offset: Tensor,
    mask: Tensor,
    output: Tensor,
    columns: Tensor,
    **geometry: int,
) -> None:
    """Fill ``output``; with ``with_bias``, ``bias`` (C',) is added."""
    tensors = computable(input, weight, offset, mask, _bias(bias, weight, geometry))
    steps = [geometry[name] for name in _MODULATED]
    output.copy_(torch.ops.torchvision.deform_conv2d(*tensors, *steps, True))


def modulated_deform_conv_backward(
    input: Tensor,
    weight: Tensor,
    bias: Tensor,
    ones: Tensor,
    offset: Tensor,
    mask: Tensor,
    columns: Tensor,
    grad_input: Tensor,
    grad_weight: Tensor,
    grad_bias: Tensor,
    grad_offset: Tensor,
    grad_mask: Tensor,
    grad_output: Tensor,
    **geometry: int,
) -> None:
    """Fill the gradients."""
    tensors = computable(grad_output, input, weight, offset, mask, _bias(bias, weight, geometry))
    steps = [geometry[name] for name in _MODULATED]
    with as_deterministic_as_mmcv():
        gradients = torch.ops.torchvision._deform_conv2d_backward(*tensors, *steps, True)
    for place, gradient in zip((grad_input, grad_weight, grad_offset, grad_mask), gradients[:4], strict=True):
        place.copy_(gradient)
    if geometry['with_bias']:
        grad_bias.copy_(gradients[4])


def _plain_gradients(
    input: Tensor, weight: Tensor, offset: Tensor, grad_output: Tensor, geometry: dict[str, int]
) -> tuple[Tensor, ...]:
    """Of input, weight, offset, and two that are not used."""
    tensors = computable(grad_output, input, weight, offset)
    steps = [geometry[name] for name in _PLAIN]
    with as_deterministic_as_mmcv():
        return torch.ops.torchvision._deform_conv2d_backward(*tensors, *_no_mask_no_bias(input, weight), *steps, False)


def _no_mask_no_bias(input: Tensor, weight: Tensor) -> tuple[Tensor, ...]:
    """Placeholders that torchvision's op expects."""
    return computable(input.new_zeros(len(input), 1), input.new_zeros(len(weight)))


def _bias(bias: Tensor, weight: Tensor, geometry: dict[str, int]) -> Tensor:
    return bias if geometry['with_bias'] else weight.new_zeros(len(weight))
