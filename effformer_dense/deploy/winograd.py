"""3 x 3 convolutions with a quarter of the multiplications (Lavin and Gray, arXiv 1509.09308, F(4 x 4, 3 x 3)).

Four outputs in a row are the coefficients of a product of polynomials. Values of the polynomials at six points take the
place of the coefficients: they are multiplied one by one, where a convolution multiplies each with each. In both
directions that makes 36 products of a tile of 6 x 6 values, which give 4 x 4 outputs, instead of 144. The way to the
values and back is a small matrix, the same for all channels. Rounding is some three times that of the convolution.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeGuard

import torch
from torch import Tensor, nn

from ..backbones.base import DenseBackbone
from ..backbones.folding import FoldedConv
from .onednn import OneDnnConv

#: Outputs and inputs of a tile along one axis, and values of its polynomials: at 0, 1, -1, 2, -2 and infinity.
_OUT, _IN = 4, 6
_VALUES = _IN * _IN
#: From the inputs of a tile to values, (6, 6); from the kernel's weights, (6, 3); from products to outputs, (4, 6).
_OF_INPUT = torch.tensor(
    [
        [4, 0, -5, 0, 1, 0],
        [0, -4, -4, 1, 1, 0],
        [0, 4, -4, -1, 1, 0],
        [0, -2, -1, 2, 1, 0],
        [0, 2, -1, -2, 1, 0],
        [0, 4, 0, -5, 0, 1],
    ],
    dtype=torch.float64,
)
_OF_KERNEL = torch.tensor(
    [[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]], dtype=torch.float64
).div(24)
_TO_OUTPUT = torch.tensor(
    [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]], dtype=torch.float64
)

#: Tiles that are computed at a time: 5 MB of values with 256 channels, which stay in a cache.
_CHUNK = 128
#: Below, the way to the values and back takes what is saved.
_MIN_WEIGHTS, _MIN_TILES = 2**15, 48

#: A 1 x 1 convolution whose groups are the values, as oneDNN takes it: padding, stride, dilation, groups.
_PRODUCTS = ((0, 0), (1, 1), (1, 1), _VALUES)


class WinogradConv(OneDnnConv):
    """A 3 x 3 convolution of many channels, for inference.

    On a CPU in single precision, and where the map has tiles enough, it is computed by Winograd's algorithm; as ever
    everywhere else, where gradients are wanted, autocast is on, or a graph is compiled or exported. The output is in
    the input's order in memory. The values of the weights are held beside them: four times as many.
    """

    _packs_twice = False  # they are four times as large as usual

    def forward(self, x: Tensor) -> Tensor:
        if not (x.dtype == torch.float32 and self._onednn_takes(x) and self._has_tiles(x)):
            return FoldedConv.forward(self, x)
        order = torch.contiguous_format if x.is_contiguous() else torch.channels_last
        return self._of_tiles(x).contiguous(memory_format=order)

    def _has_tiles(self, x: Tensor) -> bool:
        rows, columns = _tiles(x)
        return len(x) * rows * columns >= _MIN_TILES and not self.weight.is_inference()

    def _of_tiles(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C', H, W), channels-last but for what is cut off."""
        height, width = x.shape[2:]
        rows, columns = _tiles(x)
        padded = x.new_zeros(len(x), rows * _OUT + 2, columns * _OUT + 2, x.shape[1])
        padded[:, 1 : height + 1, 1 : width + 1] = x.permute(0, 2, 3, 1)
        output = x.new_empty(len(x), rows * _OUT, columns * _OUT, self.out_channels)
        inputs, outputs = _windows(padded, rows, columns, _IN), _windows(output, rows, columns, _OUT)
        to_values, to_outputs = (torch.kron(side, side).to(x) for side in (_OF_INPUT, _TO_OUTPUT))
        for chunk in _chunks(len(x), rows, columns):
            tiles = inputs[chunk]  # (b, r, columns, 6, 6, C)
            values = to_values @ tiles.reshape(-1, _VALUES, x.shape[1])  # (tiles, 36, C)
            products = self._products(values)  # (tiles, 36, C')
            outputs[chunk] = (to_outputs @ products).reshape(outputs[chunk].shape)
        if self.bias is not None:
            output += self.bias
        return output[:, :height, :width].permute(0, 3, 1, 2)

    def _products(self, values: Tensor) -> Tensor:
        """For each of the 36 values, over channels: (tiles, 36, C) to (tiles, 36, C')."""
        grouped = values.view(1, 1, len(values), -1).permute(0, 3, 1, 2)  # (1, 36 C, 1, tiles)
        products = torch.ops.mkldnn._convolution_pointwise(
            grouped, self._onednn_weight(grouped), None, *_PRODUCTS, 'none', [], ''
        )
        return products.permute(0, 2, 3, 1).reshape(len(values), _VALUES, -1)

    def _reordered(self, weight: Tensor, x: Tensor) -> Tensor:
        values = torch.einsum('ia,ocab,jb->ijoc', _OF_KERNEL, weight.double(), _OF_KERNEL)
        values = values.to(weight.dtype).reshape(-1, self.in_channels, 1, 1)  # (36 C', C, 1, 1)
        return torch.ops.mkldnn._reorder_convolution_weight(values, *_PRODUCTS, list(x.shape))


def use_winograd(model: nn.Module) -> None:
    """Replace 3 x 3 convolutions of many channels outside of the backbones: those of necks and heads."""
    for name, child in model.named_children():
        if _is_fit(child):
            setattr(model, name, WinogradConv(child))
        elif not isinstance(child, DenseBackbone):
            use_winograd(child)


def _is_fit(module: nn.Module) -> TypeGuard[nn.Conv2d]:
    return (
        type(module) is nn.Conv2d
        and module.kernel_size == (3, 3)
        and module.stride == module.dilation == module.padding == (1, 1)
        and module.groups == 1
        and module.padding_mode == 'zeros'
        and module.in_channels * module.out_channels >= _MIN_WEIGHTS
    )


def _tiles(x: Tensor) -> tuple[int, int]:
    """Rows and columns of tiles over a map (B, C, H, W)."""
    return -(-x.shape[2] // _OUT), -(-x.shape[3] // _OUT)


def _windows(maps: Tensor, rows: int, columns: int, side: int) -> Tensor:
    """View (B, rows, columns, side, side, C) of tiles, four apart, of maps (B, H, W, C)."""
    image, row, column, channel = maps.stride()
    size = (len(maps), rows, columns, side, side, maps.shape[3])
    return maps.as_strided(size, (image, _OUT * row, _OUT * column, row, column, channel))


def _chunks(images: int, rows: int, columns: int) -> Iterator[tuple[slice, slice]]:
    """Images and rows of tiles that are computed at a time: several small images, or a part of one."""
    some = max(1, _CHUNK // (rows * columns))
    step = rows if some > 1 else max(1, _CHUNK // columns)
    for image in range(0, images, some):
        for row in range(0, rows, step):
            yield slice(image, image + some), slice(row, row + step)
