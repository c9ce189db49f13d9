"""Maps of further strides, made of one map by learned layers, as in the simple feature pyramid of ViTDet.

Source: arXiv 2203.16527, section 3.
"""

from __future__ import annotations

import math

from torch import Tensor, nn

#: Up to so many times as fine or as coarse.
MAX_FACTOR = 4


class MapNorm(nn.LayerNorm):
    """Layer norm over the channels of a map (B, C, H, W)."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Resample(nn.Sequential):
    """A map of one stride to another stride.

    Finer by transposed convolutions of 2 x 2, each of which halves the channels, norm and GELU between two of them;
    coarser by max pooling of 2 x 2, which takes in what is left over at the edge; the same: nothing.

    Args:
        channels: of the map.
        stride: of the map, a power of two times ``out_stride`` or a part of it.
        out_stride: that is wanted.

    Attributes:
        out_channels: of the result.
    """

    def __init__(self, channels: int, stride: int, out_stride: int) -> None:
        steps = round(math.log2(stride / out_stride))
        layers: list[nn.Module] = [nn.MaxPool2d(2, ceil_mode=True) for _ in range(-steps)]
        for step in range(steps):
            if step:
                layers += [MapNorm(channels), nn.GELU()]
            layers.append(nn.ConvTranspose2d(channels, channels // 2, 2, 2))
            channels //= 2
        super().__init__(*layers)
        self.out_channels = channels
