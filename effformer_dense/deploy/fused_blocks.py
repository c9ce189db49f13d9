"""Blocks of fused backbones, on maps (B, C, H, W)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..backbones.chunked import equal_parts
from ..backbones.layers import ConvMlp
from ..backbones.tracing import is_exporting

#: Hidden values of an MLP (channels x rows x width) computed at once on a CPU: few enough to stay in a cache and in
#: memory that the allocator reuses. Blocks of 32 MiB and more come from the system, page by page, every time.
STRIP_VALUES = 2**21


class Add(nn.Module):
    """Residual branch whose layer scale is folded."""

    def forward(self, x: Tensor, branch: Tensor) -> Tensor:
        # The branch is nobody else's. Autocast may have given it another number type than the sum should have.
        return branch.add_(x) if branch.dtype == x.dtype else x + branch


class Residual(nn.Module):
    """A branch, added to its input by ``scale``: a layer scale or :class:`Add`."""

    def __init__(self, mixer: nn.Module, scale: nn.Module) -> None:
        super().__init__()
        self.mixer = mixer
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        return self.scale(x, self.mixer(x))


class FusedMlp(nn.Module):
    """An MLP block with its residual; with ``pooling`` preceded by V1's pooling and its residual.

    Args:
        mlp: the MLP, its norms folded where possible.
        scale: layer scale that could not be folded, or :class:`Add`.
        pooling: layer scale of the pooling branch, shape (C,).
    """

    def __init__(self, mlp: ConvMlp, scale: nn.Module, pooling: Tensor | None = None) -> None:
        super().__init__()
        self.mlp = mlp
        self.hidden = mlp.hidden
        self.scale = scale
        self.pooling: Tensor | None
        self.register_buffer('pooling', None if pooling is None else pooling.detach()[:, None, None])
        self.halo = int(pooling is not None or mlp.mid is not None)

    def forward(self, x: Tensor) -> Tensor:
        return self._rows(x, 0, x.shape[2])

    def _rows(self, x: Tensor, start: int, stop: int) -> Tensor:
        """Rows ``start`` to ``stop`` of the result."""
        above, below = max(start - self.halo, 0), min(stop + self.halo, x.shape[2])
        x = x[:, :, above:below]
        keep = slice(start - above, stop - above)
        if self.pooling is not None:
            pooled = F.avg_pool2d(x, kernel_size=3, stride=1, padding=1, count_include_pad=False)
            x = torch.lerp(x[:, :, keep], pooled[:, :, keep], self.pooling)
            return self.scale(x, self.mlp(x))
        hidden = self.mlp.fc1(x)
        if self.mlp.mid is not None:
            hidden = self.mlp.mid(hidden)[:, :, keep]
        return self.scale(x[:, :, keep], self.mlp.fc2(hidden))


class StripMlp(FusedMlp):
    """The same for CPUs: strip by strip, each with the rows beside it that 3 x 3 neighbourhoods reach.

    Its layers must be convolutions: a norm over the whole map has no strips.
    """

    @torch.compiler.disable  # compiled, it would take whole maps, and longer
    def forward(self, x: Tensor) -> Tensor:
        batch, _, height, width = x.shape
        values = self.hidden * height * width
        if x.device.type != 'cpu' or is_exporting() or batch * values <= STRIP_VALUES:
            return super().forward(x)
        out = torch.empty_like(x)
        for images in equal_parts(batch, STRIP_VALUES // values):
            for rows in equal_parts(height, STRIP_VALUES * height // values):
                out[images, :, rows] = self._rows(x[images], rows.start, rows.stop)
        return out
