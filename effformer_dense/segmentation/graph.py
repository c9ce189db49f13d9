"""Segmentors as graphs: a picture in, labels or logits out."""

from __future__ import annotations

from typing import Any

import torch
from mmseg.models import EncoderDecoder, SegDataPreProcessor
from torch import Tensor, nn
from torch.nn import functional as F

from ..data.segmentation_maps import UNLABELLED
from ..deploy.pixels import continued, normalise_of, padded, up_to_multiple
from ..errors import UserError, choice_error
from ..variants import MAX_SIDE_PX
from .free_sizes import free_sizes

OUTPUTS = ('labels', 'logits')


class SegmentationGraph(nn.Module):
    """A segmentor of mmsegmentation, from pixels to labels or logits at any size.

    Args:
        model: an ``EncoderDecoder`` that predicts whole pictures.
        output: one of :data:`OUTPUTS`.

    Raises:
        UserError: the model predicts in windows, pads pictures to one size, or has more classes than labels can tell;
            or there is no such output.
    """

    def __init__(self, model: Any, output: str = 'labels') -> None:
        super().__init__()
        if output not in OUTPUTS:
            raise choice_error('The output of a segmentor', output, OUTPUTS)
        _check(model)
        self.output = output
        self.normalise = normalise_of(model.data_preprocessor)
        padding = model.data_preprocessor.test_cfg or {}
        self.divisor, self.pad_value = padding.get('size_divisor') or 1, model.data_preprocessor.pad_val
        self.side_multiple = getattr(model, 'side_multiple', 1)
        self.model = model

    def forward(self, image: Tensor, size: Tensor | None = None) -> Tensor:
        """Predict a picture.

        Args:
            image: (1, 3, H, W), RGB, 0 to 255.
            size: two int64, height and width of what is returned; None for those of ``image``.

        Returns:
            ``labels`` (1, H', W') uint8, or ``logits`` (1, classes, H', W').
        """
        logits = self._logits(image)
        if size is not None:
            align_corners = self.model.align_corners
            sides = _sides(size, least=2 if align_corners else 1)  # where corners are aligned, one pixel has no scale
            logits = F.interpolate(logits, sides, mode='bilinear', align_corners=align_corners)
        if self.output == 'logits':
            return logits
        if logits.shape[1] == 1:  # object or not
            return (logits[:, 0].sigmoid() > self.model.decode_head.threshold).to(torch.uint8)
        return logits.argmax(dim=1).to(torch.uint8)

    def _logits(self, image: Tensor) -> Tensor:
        """(1, classes, H, W): what the preprocessor and the segmentor add to the picture is cut off."""
        height, width = image.shape[2:]
        size = up_to_multiple((height, width), self.divisor)
        pixels = padded(self.normalise(image), size, self.pad_value) if self.divisor > 1 else self.normalise(image)
        if self.side_multiple > 1:
            size = up_to_multiple(size, self.side_multiple)
            pixels = continued(pixels, size)
        with free_sizes():
            logits = self.model.encode_decode(pixels, [dict(img_shape=size)])
        return logits[:, :, :height, :width]


def _sides(size: Tensor, least: int) -> list[int]:
    """Height and width as numbers of which a recording knows the bounds alone."""
    sides = [side.item() for side in size.unbind()]
    for side in sides:
        torch._check(side >= least)
        torch._check(side <= MAX_SIDE_PX)
    return sides  # type: ignore[return-value]


def _check(model: Any) -> None:
    if not isinstance(model, EncoderDecoder):
        raise UserError(f"{type(model).__name__} cannot be exported: it is no EncoderDecoder, mmsegmentation's usual.")
    if (model.test_cfg or {}).get('mode', 'whole') != 'whole':
        raise UserError(
            "test_cfg.mode='slide' cannot be exported, for how many windows there are depends on the picture: set "
            "mode='whole', with pictures resized to about the size of the crops that it was trained on."
        )
    if model.out_channels > UNLABELLED:
        raise UserError(
            f'{model.out_channels} classes cannot be exported: labels are 8 bits, and {UNLABELLED} means unlabelled.'
        )
    preprocessor = model.data_preprocessor
    if not isinstance(preprocessor, SegDataPreProcessor):
        raise UserError(
            f'data_preprocessor {type(preprocessor).__name__} cannot be exported: it is no SegDataPreProcessor, '
            "mmsegmentation's, which says how it normalises and pads."
        )
    padding = preprocessor.test_cfg or {}
    if padding.get('size'):
        raise UserError(
            f'data_preprocessor.test_cfg.size={tuple(padding["size"])} pads every picture to one size; a file for any '
            'size needs size_divisor, or no padding.'
        )
