"""EdgeViT (arXiv 2205.03436): blocks of local aggregation, global sparse attention and local propagation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch.nn.functional as F
from mmengine.registry import MODELS
from torch import Tensor, nn

from .base import DenseBackbone, Stage
from .folding import FoldedConv, can_fold, fold_norm_before, fold_shortcut
from .fused import FusedResidual, fuse_mlp
from .layers import DropPath, TokenMlp, build_norm, drop_path_rates
from .recorded import attend_recorded_plain
from .tracing import in_order, is_recording, merge, wants_standard_operators


class PatchEmbedding(nn.Module):
    """A convolution of patches side by side, then layer norm: (B, C, H, W) to (B, C', ceil(H / side), ceil(W / side)).

    What a patch at the right or lower edge lacks counts as zero.
    """

    def __init__(self, in_channels: int, out_channels: int, side: int) -> None:
        super().__init__()
        self.side = side
        self.conv = nn.Conv2d(in_channels, out_channels, side, side)
        self.norm = nn.LayerNorm(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        # Too much padding makes no patch more, and what is recorded for one size then holds for all.
        if is_recording() or x.shape[2] % self.side or x.shape[3] % self.side:
            x = F.pad(x, (0, self.side - 1, 0, self.side - 1))
        return in_order(self.norm(self.conv(x).permute(0, 2, 3, 1)).permute(0, 3, 1, 2))


class Position(nn.Module):
    """Conditional position encoding (arXiv 2102.10882): a 3x3 depth-wise convolution with residual, on maps."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = _depthwise(channels, 3)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x)

    def fused(self) -> nn.Module:
        """For inference: one convolution, which takes over the weights and changes them."""
        return FoldedConv(fold_shortcut(self.conv))


class MapMlp(nn.Module):
    """Two 1x1 convolutions on maps (B, C, H, W)."""

    mid = None

    def __init__(self, channels: int, expansion_ratio: int) -> None:
        super().__init__()
        self.hidden = channels * expansion_ratio
        self.fc1 = nn.Conv2d(channels, self.hidden, 1)
        self.fc2 = nn.Conv2d(self.hidden, channels, 1)
        self.activation: nn.Module = nn.GELU()

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.activation(self.fc1(x)))

    def fold_activation(self) -> None:
        """Put the activation into the layer before it, for inference."""
        self.fc1, self.fc2 = FoldedConv(self.fc1, self.activation), FoldedConv(self.fc2)
        self.activation = nn.Identity()


class LocalAggregation(nn.Module):
    """Position, 5x5 neighbourhood and MLP, each with residual, on maps (B, C, H, W)."""

    def __init__(self, channels: int, expansion_ratio: int, norm_cfg: dict, drop_path: float) -> None:
        super().__init__()
        self.position = Position(channels)
        # Norms first: mmcv's fuse_conv_bn takes a norm for that of the convolution registered before it.
        self.norm1, self.norm2 = (build_norm(channels, norm_cfg) for _ in range(2))
        self.conv1 = nn.Conv2d(channels, channels, 1)
        self.aggregate = _depthwise(channels, 5)
        self.conv2 = nn.Conv2d(channels, channels, 1)
        self.mlp = MapMlp(channels, expansion_ratio)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        x = self.position(x)
        x = x + self.drop_path(self.conv2(self.aggregate(self.conv1(self.norm1(x)))))
        return x + self.drop_path(self.mlp(self.norm2(x)))

    def fused(self) -> nn.Module:
        """For inference, norms folded where they can be. It takes over the layers, which change."""
        branch: list[nn.Module] = [FoldedConv(conv) for conv in (self.conv1, self.aggregate, self.conv2)]
        if can_fold(self.norm1):
            fold_norm_before(self.norm1, self.conv1)
        else:
            branch.insert(0, self.norm1)
        self.mlp.fold_activation()
        nothing = nn.Identity()
        if can_fold(self.norm2):
            fold_norm_before(self.norm2, self.mlp.fc1)
            mlp: nn.Module = fuse_mlp(self.mlp, nothing)
        else:
            mlp = FusedResidual(nn.Sequential(self.norm2, self.mlp), nothing)
        return nn.Sequential(self.position, FusedResidual(nn.Sequential(*branch), nothing), mlp)


class SparseAttention(nn.Module):
    """Attention among every ``rate``-th cell in both directions, which then hand on what they have learned.

    Cells are sampled from the upper left one on, as many as it takes to have one for each cell; what they propagate
    past the edge is cut off. Scores are torch's own fused attention's, which holds few of them at a time.

    Args:
        channels: width of the tokens.
        num_heads: attention heads.
        rate: 1 for attention among all cells, and no propagation.
    """

    def __init__(self, channels: int, num_heads: int, rate: int) -> None:
        super().__init__()
        self.num_heads, self.rate = num_heads, rate
        self.qkv = nn.Linear(channels, 3 * channels)
        self.propagate = nn.ConvTranspose2d(channels, channels, rate, rate, groups=channels) if rate > 1 else None
        self.norm = nn.LayerNorm(channels) if rate > 1 else nn.Identity()
        self.proj = nn.Linear(channels, channels)

    def forward(self, tokens: Tensor) -> Tensor:
        """Grid of tokens (B, h, w, C) to the same shape."""
        if self.propagate is None:
            return self.proj(self._attend(tokens))
        h, w = tokens.shape[1:3]
        mixed = self._attend(in_order(tokens[:, :: self.rate, :: self.rate]))
        spread = self.propagate(in_order(mixed.permute(0, 3, 1, 2))).permute(0, 2, 3, 1)
        return self.proj(self.norm(spread.narrow(1, 0, h).narrow(2, 0, w)))

    def _attend(self, tokens: Tensor) -> Tensor:
        qkv = self.qkv(tokens).unflatten(3, (3, self.num_heads, -1))  # (B, h, w, 3, n, d)
        q, k, v = merge(qkv.permute(3, 0, 4, 1, 2, 5), 3, 4).unbind(0)  # (B, n, h * w, d)
        attend = attend_recorded_plain if wants_standard_operators() else F.scaled_dot_product_attention
        mixed = attend(q, k, v).unflatten(2, tokens.shape[1:3])
        return merge(mixed.permute(0, 2, 3, 1, 4), 3, 4)  # (B, h, w, C)


class SparseAttentionBlock(nn.Module):
    """Position, sparse attention and MLP, each with residual, on maps (B, C, H, W)."""

    def __init__(self, channels: int, expansion_ratio: int, drop_path: float, mixer: SparseAttention) -> None:
        super().__init__()
        self.position = Position(channels)
        self.norm1 = nn.LayerNorm(channels, eps=1e-6)
        self.token_mixer = mixer
        self.norm2 = nn.LayerNorm(channels, eps=1e-6)
        self.mlp: nn.Module = TokenMlp(channels, expansion_ratio)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.position(x).permute(0, 2, 3, 1)  # (B, H, W, C)
        tokens = tokens + self.drop_path(self.token_mixer(self.norm1(tokens)))
        tokens = tokens + self.drop_path(self.mlp(self.norm2(tokens)))
        return in_order(tokens.permute(0, 3, 1, 2))


class LocalGlobalLocalBlock(nn.Sequential):
    """Local aggregation, where cells are sampled, then sparse attention, which ends in local propagation."""


def _depthwise(channels: int, side: int) -> nn.Conv2d:
    return nn.Conv2d(channels, channels, side, padding=side // 2, groups=channels)


@MODELS.register_module()
class EdgeViT(DenseBackbone):
    """EdgeViT as a backbone for dense prediction.

    ``arch`` is ``'xxs'``, ``'xs'``, ``'s'`` or a dict. The other arguments, the attributes and the errors are those of
    :class:`.base.DenseBackbone`. It has no attention bias: positions come from depth-wise convolutions, so that
    nothing has to be brought to another size. Sides need not be multiples of anything: patches and the sampled grid
    are filled up, and features are never cut.

    Example:
        >>> net = EdgeViT(arch='xxs')
        >>> [tuple(f.shape) for f in net(torch.rand(1, 3, 224, 333))]
        [(1, 36, 56, 84), (1, 72, 28, 42), (1, 144, 14, 21), (1, 288, 7, 11)]
    """

    def __init__(
        self,
        arch: str | Mapping[str, Any],
        out_indices: Sequence[int] = (0, 1, 2, 3),
        drop_path_rate: float | None = None,
        frozen_stages: int = -1,
        norm_eval: bool = False,
        norm_cfg: dict | None = None,
        with_cp: bool = False,
        out_norm: bool | None = None,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(
            arch, out_indices, drop_path_rate, frozen_stages, norm_eval, norm_cfg, with_cp, out_norm, init_cfg
        )
        self._assemble()

    def _build_stem(self) -> PatchEmbedding:
        return PatchEmbedding(3, self.variant.widths[0], side=4)

    def _build_stage(self, index: int) -> Stage:
        row = self.variant
        downsample = PatchEmbedding(row.widths[index - 1], row.widths[index], side=2) if index else None
        rates = drop_path_rates(self.drop_path_rate, row.depths)[index]
        ratios = row.expansion_ratios[index]
        blocks = [self._build_block(index, ratio, rate) for ratio, rate in zip(ratios, rates, strict=True)]
        return Stage(downsample, blocks, self.with_cp)

    def _build_block(self, index: int, expansion_ratio: int, drop_path: float) -> nn.Module:
        channels, rate = self.variant.widths[index], self.variant.sampling_rates[index]
        mixer = SparseAttention(channels, channels // self.variant.head_width, rate)
        block = LocalGlobalLocalBlock()
        if rate > 1:
            block.add_module('local', LocalAggregation(channels, expansion_ratio, self.norm_cfg, drop_path))
        block.add_module('sparse', SparseAttentionBlock(channels, expansion_ratio, drop_path, mixer))
        return block
