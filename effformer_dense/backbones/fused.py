"""What blocks become for inference: layer scales folded, sums in place, MLPs in tiles. On maps (B, C, H, W)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .chunked import equal_parts
from .folding import fold_scale
from .layers import ConvMlp, LayerScale
from .tracing import wants_standard_operators

#: Hidden values of an MLP (channels x rows x width) computed at once on a CPU: few enough to stay in a cache and in
#: memory that the allocator reuses. Blocks of 32 MiB and more come from the system, page by page, every time.
TILE_VALUES = 2**21


def fold_layer_scale(last: nn.Module, scale: nn.Module) -> nn.Module:
    """Fold a layer scale into the linear layer that ends its branch.

    Returns:
        What is left to apply: nothing; or ``scale``, where a norm that could not be folded ends the branch.
    """
    if not isinstance(scale, LayerScale) or not isinstance(last, (nn.Conv2d, nn.Linear)):
        return scale
    fold_scale(last, scale.weight)
    return nn.Identity()


class FusedResidual(nn.Module):
    """``x + scale(mixer(x))``, summed in place of the branch."""

    def __init__(self, mixer: nn.Module, scale: nn.Module) -> None:
        super().__init__()
        self.mixer = mixer
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        return _add(x, self.scale(self.mixer(x)))


class FusedMlp(nn.Module):
    """An MLP block with its residual; with ``pooling`` preceded by V1's pooling and its residual.

    Args:
        mlp: the MLP, its norms folded where possible.
        scale: layer scale of its branch.
        pooling: layer scale of the pooling branch, shape (C,).
    """

    def __init__(self, mlp: ConvMlp, scale: nn.Module, pooling: Tensor | None = None) -> None:
        super().__init__()
        self.mlp = mlp
        self.hidden = mlp.hidden
        self.scale = fold_layer_scale(mlp.fc2, scale)
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
            return _add(x, self.scale(self.mlp(x)))
        hidden = self.mlp.fc1(x)
        if self.mlp.mid is not None:
            hidden = self.mlp.mid(hidden)[:, :, keep]
        return _add(x[:, :, keep], self.scale(self.mlp.fc2(hidden)))


class TiledMlp(FusedMlp):
    """The same for CPUs: some rows at a time, each tile with the rows beside it that 3 x 3 neighbourhoods reach.

    Its layers must be convolutions: a norm over the whole map has no tiles.
    """

    @torch.compiler.disable  # compiled, it would take whole maps, and longer
    def forward(self, x: Tensor) -> Tensor:
        batch, _, height, width = x.shape
        values = self.hidden * height * width
        if x.device.type != 'cpu' or wants_standard_operators() or batch * values <= TILE_VALUES:
            return super().forward(x)
        out = torch.empty_like(x)
        for images in equal_parts(batch, TILE_VALUES // values):
            for rows in equal_parts(height, TILE_VALUES * height // values):
                out[images, :, rows] = self._rows(x[images], rows.start, rows.stop)
        return out


def fuse_mlp(mlp: ConvMlp, scale: LayerScale, pooling: Tensor | None = None) -> FusedMlp:
    """:class:`FusedMlp` of a block's parts, the kind that its device and its layers ask for."""
    folded = all(layer is None or isinstance(layer, nn.Conv2d) for layer in (mlp.fc1, mlp.mid, mlp.fc2))
    kind = TiledMlp if folded and scale.weight.device.type == 'cpu' else FusedMlp
    return kind(mlp, scale, pooling)


def _add(x: Tensor, branch: Tensor) -> Tensor:
    """``x + branch``. The branch is nobody else's; autocast may have given it another type than the sum should have."""
    return branch.add_(x) if branch.dtype == x.dtype else x + branch
