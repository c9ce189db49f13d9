"""Multi-scale deformable attention (arXiv 2010.04159, section 4.1) by mmcv's own PyTorch code.

mmcv calls its compiled op on a GPU only, and that code elsewhere.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .precision import as_deterministic_as_mmcv


def ms_deform_attn_forward(
    value: Tensor,
    value_spatial_shapes: Tensor,
    value_level_start_index: Tensor,
    sampling_locations: Tensor,
    attention_weights: Tensor,
    im2col_step: int,
) -> Tensor:
    """Attention over a few sampled positions.

    Args:
        value: (B, keys of all levels, heads, channels per head).
        value_spatial_shapes: (levels, 2): height and width.
        value_level_start_index: not used.
        sampling_locations: (B, queries, heads, levels, points, 2): x and y, 0 to 1.
        attention_weights: (B, queries, heads, levels, points).
        im2col_step: not used.

    Returns:
        (B, queries, heads x channels per head).
    """
    from mmcv.ops.multi_scale_deform_attn import multi_scale_deformable_attn_pytorch

    return multi_scale_deformable_attn_pytorch(value, value_spatial_shapes, sampling_locations, attention_weights)


def ms_deform_attn_backward(
    value: Tensor,
    value_spatial_shapes: Tensor,
    value_level_start_index: Tensor,
    sampling_locations: Tensor,
    attention_weights: Tensor,
    grad_output: Tensor,
    grad_value: Tensor,
    grad_sampling_loc: Tensor,
    grad_attn_weight: Tensor,
    im2col_step: int,
) -> None:
    """Fill the three gradients; the forward pass saves nothing, so it is recomputed."""
    inputs = [tensor.detach().requires_grad_() for tensor in (value, sampling_locations, attention_weights)]
    with torch.enable_grad():
        output = ms_deform_attn_forward(
            inputs[0], value_spatial_shapes, value_level_start_index, inputs[1], inputs[2], im2col_step
        )
    with as_deterministic_as_mmcv():
        gradients = torch.autograd.grad(output, inputs, grad_output)
    for place, gradient in zip((grad_value, grad_sampling_loc, grad_attn_weight), gradients, strict=True):
        place.copy_(gradient)
