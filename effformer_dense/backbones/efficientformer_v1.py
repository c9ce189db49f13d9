"""EfficientFormer V1 (arXiv 2206.01191): pooling blocks on maps, then attention blocks on tokens."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from mmengine.registry import MODELS
from torch import Tensor, nn

from ..variants import V1_VARIANTS
from .attention import TokenAttention
from .base import DenseBackbone, Stage, pick_variant
from .layers import ConvMlp, ConvNorm, DropPath, LayerScale, add_branch, drop_path_rates


class PoolingBlock(nn.Module):
    """MB4D block: pooling as token mixer, then an MLP of 1x1 convolutions."""

    def __init__(self, channels: int, expansion_ratio: int, norm_cfg: dict, drop_path: float) -> None:
        super().__init__()
        self.layer_scale_1 = LayerScale(channels)
        self.mlp = ConvMlp(channels, expansion_ratio, norm_cfg, depthwise=False)
        self.layer_scale_2 = LayerScale(channels)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        # The residual is inside the pooling's branch too: what it mixes in is the difference to the mean.
        pooled = F.avg_pool2d(x, kernel_size=3, stride=1, padding=1, count_include_pad=False) - x
        x = self.layer_scale_1(x, self.drop_path(pooled))
        return add_branch(x, self.mlp, self.layer_scale_2, self.drop_path)


class TokenMlp(nn.Module):
    """Two linear layers on tokens (..., C)."""

    def __init__(self, channels: int, expansion_ratio: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(channels, channels * expansion_ratio)
        self.fc2 = nn.Linear(channels * expansion_ratio, channels)
        self.activation = nn.GELU()

    def forward(self, tokens: Tensor) -> Tensor:
        return self.fc2(self.activation(self.fc1(tokens)))


class TokenBlock(nn.Module):
    """MB3D block: attention and MLP on tokens with layer norm.

    Takes and returns maps, so that every block of a stage has the same face.
    """

    def __init__(self, channels: int, expansion_ratio: int, drop_path: float, token_mixer: TokenAttention) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(channels)
        self.token_mixer = token_mixer
        self.layer_scale_1 = LayerScale(channels)
        self.norm2 = nn.LayerNorm(channels)
        self.mlp = TokenMlp(channels, expansion_ratio)
        self.layer_scale_2 = LayerScale(channels)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        mixed = self.token_mixer(self.norm1(_to_tokens(x)))
        x = self.layer_scale_1(x, self.drop_path(_to_map(mixed)))
        mixed = self.mlp(self.norm2(_to_tokens(x)))
        return self.layer_scale_2(x, self.drop_path(_to_map(mixed)))


@MODELS.register_module()
class EfficientFormerV1(DenseBackbone):
    """EfficientFormer V1 as a backbone for dense prediction.

    Args:
        arch: ``'l1'``, ``'l3'`` or ``'l7'``.
        out_norm: on by default, as in the published dense models.

    The other arguments, the attributes and the errors are those of :class:`.base.DenseBackbone`.

    Example:
        >>> net = EfficientFormerV1(arch='l1')
        >>> [tuple(f.shape) for f in net(torch.rand(1, 3, 224, 333))]
        [(1, 48, 56, 84), (1, 96, 28, 42), (1, 224, 14, 21), (1, 448, 7, 11)]
    """

    def __init__(
        self,
        arch: str,
        out_indices: Sequence[int] = (0, 1, 2, 3),
        bias_grid: int = 7,
        bias_resize: str = 'bicubic',
        drop_path_rate: float | None = None,
        frozen_stages: int = -1,
        norm_eval: bool = False,
        norm_cfg: dict | None = None,
        with_cp: bool = False,
        attention_chunk: int | None = None,
        out_norm: bool = True,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(
            variant=pick_variant(V1_VARIANTS, arch),
            out_indices=out_indices,
            bias_grid=bias_grid,
            bias_resize=bias_resize,
            drop_path_rate=drop_path_rate,
            frozen_stages=frozen_stages,
            norm_eval=norm_eval,
            norm_cfg=norm_cfg or dict(type='BN'),
            with_cp=with_cp,
            attention_chunk=attention_chunk,
            out_norm=out_norm,
            init_cfg=init_cfg,
            activation=nn.ReLU,
        )

    def _build_stage(self, index: int) -> Stage:
        row = self.variant
        channels = row.widths[index]
        downsample = None
        if index > 0:
            downsample = ConvNorm(row.widths[index - 1], channels, self.norm_cfg, kernel_size=3, stride=2)
        first_attention = row.depths[3] - row.num_attention_blocks if index == 3 else row.depths[index]
        rates = drop_path_rates(self.drop_path_rate, row.depths)[index]
        blocks: list[nn.Module] = []
        for position, (ratio, rate) in enumerate(zip(row.expansion_ratios[index], rates, strict=True)):
            if position < first_attention:
                blocks.append(PoolingBlock(channels, ratio, self.norm_cfg, rate))
            else:
                blocks.append(self._build_token_block(channels, ratio, rate))
        return Stage(downsample, blocks, self.with_cp)

    def _build_token_block(self, channels: int, expansion_ratio: int, drop_path: float) -> TokenBlock:
        mixer = TokenAttention(channels, self.attention_options)
        return TokenBlock(channels, expansion_ratio, drop_path, mixer)


def _to_tokens(x: Tensor) -> Tensor:
    """Map (B, C, H, W) to grid of tokens (B, H, W, C)."""
    return x.permute(0, 2, 3, 1)


def _to_map(tokens: Tensor) -> Tensor:
    """Grid of tokens (B, H, W, C) to map (B, C, H, W)."""
    return tokens.permute(0, 3, 1, 2)
