"""What blocks become for inference: layer scales folded, sums in place, MLPs in tiles. On maps (B, C, H, W)."""

from __future__ import annotations

from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .chunked import equal_parts
from .folding import fold_scale
from .layers import LayerScale
from .tracing import is_recording, wants_standard_operators

#: Hidden values of an MLP (channels x rows x width) that a thread computes at once on a CPU: few enough to stay in its
#: cache. With one thread 2**20 was best or next to it of 2**17 to 2**21 (AVX-512; S0, L and L1; 512 and 800 x 1344 px).
TILE_VALUES = 2**20
#: And that all threads do: few enough for memory that the allocator reuses. Blocks of 32 MiB and more come from the
#: system, page by page, every time.
MAX_TILE_VALUES = 2**21


class PointwiseMlp(Protocol):
    """An MLP of 1 x 1 convolutions: one to ``hidden`` channels, perhaps one between rows, one back."""

    @property
    def hidden(self) -> int: ...
    @property
    def fc1(self) -> nn.Module: ...
    @property
    def mid(self) -> nn.Module | None: ...
    @property
    def fc2(self) -> nn.Module: ...
    def __call__(self, x: Tensor, /) -> Tensor: ...


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

    def __init__(self, mlp: PointwiseMlp, scale: nn.Module, pooling: Tensor | None = None) -> None:
        super().__init__()
        self.mlp = mlp
        self.hidden = mlp.hidden
        self.scale = fold_layer_scale(mlp.fc2, scale)
        self.pooling: Tensor | None
        self.register_buffer('pooling', None if pooling is None else pooling.detach()[:, None, None])
        self.halo = int(pooling is not None or mlp.mid is not None)

    def forward(self, x: Tensor) -> Tensor:
        return self._compute(x, keep=None)

    def _rows(self, x: Tensor, start: int, stop: int) -> Tensor:
        """Rows ``start`` to ``stop`` of the result."""
        above, below = max(start - self.halo, 0), min(stop + self.halo, x.shape[2])
        return self._compute(x[:, :, above:below], keep=slice(start - above, stop - above))

    def _compute(self, x: Tensor, keep: slice | None) -> Tensor:
        """The result, of which rows ``keep`` are wanted; None: all."""
        if self.pooling is not None:
            pooled = F.avg_pool2d(x, kernel_size=3, stride=1, padding=1, count_include_pad=False)
            x = _towards(_some_rows(x, keep), _some_rows(pooled, keep), self.pooling.to(x.dtype))
            return _add(x, self.scale(self.mlp(x)))
        hidden = self.mlp.fc1(x)
        if self.mlp.mid is not None:
            hidden = _some_rows(self.mlp.mid(hidden), keep)
        return _add(_some_rows(x, keep), self.scale(self.mlp.fc2(hidden)))


class TiledMlp(FusedMlp):
    """The same for CPUs: some rows at a time, each tile with the rows beside it that 3 x 3 neighbourhoods reach.

    Its layers must be convolutions: a norm over the whole map has no tiles.
    """

    def forward(self, x: Tensor) -> Tensor:
        batch, _, height, width = x.shape
        values = self.hidden * height * width
        if x.device.type != 'cpu' or is_recording() or batch * values <= _tile_values():
            return super().forward(x)
        out = torch.empty_like(x)
        for images in equal_parts(batch, _tile_values() // values):
            for rows in equal_parts(height, _tile_values() * height // values):
                out[images, :, rows] = self._rows(x[images], rows.start, rows.stop)
        return out


def _tile_values() -> int:
    return min(TILE_VALUES * torch.get_num_threads(), MAX_TILE_VALUES)


def fuse_mlp(mlp: PointwiseMlp, scale: nn.Module, pooling: Tensor | None = None) -> FusedMlp:
    """:class:`FusedMlp` of a block's parts, the kind that its device and its layers ask for."""
    folded = all(layer is None or isinstance(layer, nn.Conv2d) for layer in (mlp.fc1, mlp.mid, mlp.fc2))
    kind = TiledMlp if folded and next(mlp.fc1.parameters()).device.type == 'cpu' else FusedMlp
    return kind(mlp, scale, pooling)


def _some_rows(x: Tensor, keep: slice | None) -> Tensor:
    """Rows of a map. All of them are no slice: its bounds would stand in a graph."""
    return x if keep is None else x[:, :, keep]


def _towards(x: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """``torch.lerp``, which in ONNX is a chain of operators."""
    return x + weight * (target - x) if wants_standard_operators() else torch.lerp(x, target, weight)


def _add(x: Tensor, branch: Tensor) -> Tensor:
    """``x + branch``. The branch is nobody else's; autocast may have given it another type than the sum should have."""
    return branch.add_(x) if branch.dtype == x.dtype else x + branch
