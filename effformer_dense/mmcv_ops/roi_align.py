"""RoIAlign (arXiv 1703.06870, section 3), averaging: on a CPU as sums of cells, else by torchvision's op."""

from __future__ import annotations

import torch
from torch import Tensor

from .missing import MissingOpError
from .precision import as_deterministic_as_mmcv, computable
from .region_averages import region_averages

_AVERAGE = 1  # pool_mode; 0 is the maximum


def roi_align_forward(
    input: Tensor,
    rois: Tensor,
    output: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """Fill ``output``.

    Args:
        input: (B, C, H, W), in any memory format; mmcv's own op reads other than contiguous memory wrongly on a CPU.
        rois: (N, 5): index of the image, x1, y1, x2, y2.
        output: (N, C, aligned_height, aligned_width).
        argmax_y, argmax_x: of the maximum, not used.
        aligned_height, aligned_width: cells of the output.
        spatial_scale: side of the map over side of the image.
        sampling_ratio: samples per cell and axis; 0 for one per position of the map.
        pool_mode: 1 averages; 0 takes the maximum, which torchvision lacks.
        aligned: whether positions are shifted by half a cell of the map.

    Raises:
        MissingOpError: ``pool_mode`` 0.
        RuntimeError: on a CPU, a region of negative or infinite size.
    """
    if pool_mode != _AVERAGE:
        raise MissingOpError("roi_align with pool_mode='max'")
    features, regions = computable(input, rois)
    _check_regions(regions, aligned)
    size = aligned_height, aligned_width
    # Training rounds as with mmcv's own op, to the bit.
    if not input.requires_grad and _sums_are_faster(features, len(regions) * aligned_height * aligned_width):
        output.copy_(region_averages(features, regions, spatial_scale, size, sampling_ratio, aligned))
        return
    output.copy_(torch.ops.torchvision.roi_align(features, regions, spatial_scale, *size, sampling_ratio, aligned))


def roi_align_backward(
    grad_output: Tensor,
    rois: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    grad_input: Tensor,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """Fill ``grad_input``; arguments as of :func:`roi_align_forward`."""
    gradient, regions = computable(grad_output, rois)
    sizes = (aligned_height, aligned_width, *grad_input.shape)
    with as_deterministic_as_mmcv():
        result = torch.ops.torchvision._roi_align_backward(
            gradient, regions, spatial_scale, *sizes, sampling_ratio, aligned
        )
    grad_input.copy_(result)


def _sums_are_faster(features: Tensor, cells: int) -> bool:
    """On a CPU, unless the map would be brought to another order in memory for few cells of output."""
    in_order = features.is_contiguous(memory_format=torch.channels_last)
    return features.device.type == 'cpu' and (in_order or 4 * cells >= features[:, 0].numel())


def _check_regions(rois: Tensor, aligned: bool) -> None:
    """mmcv's op stops at most of these on a CPU; torchvision's asks for memory of negative size, or for all there is.

    A GPU is not waited for.
    """
    if rois.device.type != 'cpu' or not len(rois):
        return
    sizes = rois[:, 3:] - rois[:, 1:3]
    fine = torch.isfinite(sizes).all(1) & ((sizes >= 0).all(1) | (not aligned))
    if not fine.all():
        worst = int((~fine).nonzero()[0])
        corners = rois[worst, 1:].tolist()
        raise RuntimeError(f'RoIAlign: region {worst} is {corners} (x1, y1, x2, y2), of negative or no finite size.')
