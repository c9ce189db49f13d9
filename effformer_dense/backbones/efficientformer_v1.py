"""EfficientFormer V1 (arXiv 2206.01191): pooling blocks on maps, then attention blocks on tokens."""

from __future__ import annotations

import torch.nn.functional as F
from mmengine.registry import MODELS
from torch import Tensor, nn

from .attention import TokenAttention
from .base import Stage
from .efficientformer import EfficientFormer
from .fused import fold_layer_scale, fuse_mlp
from .layers import ConvMlp, ConvNorm, DropPath, LayerScale, TokenMlp, drop_path_rates


class PoolingBlock(nn.Module):
    """MB4D block: pooling as token mixer, then an MLP of 1x1 convolutions."""

    def __init__(self, channels: int, expansion_ratio: int, norm_cfg: dict, drop_path: float) -> None:
        super().__init__()
        self.layer_scale_1 = LayerScale(channels)
        self.mlp = ConvMlp(channels, expansion_ratio, norm_cfg, depthwise=False)
        self.layer_scale_2 = LayerScale(channels)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.drop_path(self.layer_scale_1(_pool(x)))
        return x + self.drop_path(self.layer_scale_2.after(self.mlp, x))

    def fused(self) -> nn.Module:
        """For inference, the layer scales folded. It takes over the block's layers, which change."""
        return fuse_mlp(self.mlp, self.layer_scale_2, pooling=self.layer_scale_1.weight)


def _pool(x: Tensor) -> Tensor:
    """Pooling as a residual branch: the mean of 3 x 3 cells as a difference to the cell in the middle."""
    return F.avg_pool2d(x, kernel_size=3, stride=1, padding=1, count_include_pad=False) - x


class TokenBlock(nn.Module):
    """MB3D block: attention and MLP on tokens with layer norm.

    Takes and returns maps, so that every block of a stage has the same face.
    """

    def __init__(self, channels: int, expansion_ratio: int, drop_path: float, token_mixer: TokenAttention) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(channels)
        self.token_mixer = token_mixer
        self.layer_scale_1: nn.Module = LayerScale(channels, of_tokens=True)
        self.norm2 = nn.LayerNorm(channels)
        self.mlp = TokenMlp(channels, expansion_ratio)
        self.layer_scale_2: nn.Module = LayerScale(channels, of_tokens=True)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        tokens = x.permute(0, 2, 3, 1)  # (B, H, W, C)
        tokens = tokens + self.drop_path(self.layer_scale_1(self.token_mixer(self.norm1(tokens))))
        tokens = tokens + self.drop_path(self.layer_scale_2(self.mlp(self.norm2(tokens))))
        return tokens.permute(0, 3, 1, 2)

    def fused(self) -> nn.Module:
        """For inference: itself, the layer scales folded."""
        self.layer_scale_1 = fold_layer_scale(self.token_mixer.proj, self.layer_scale_1)
        self.layer_scale_2 = fold_layer_scale(self.mlp.fc2, self.layer_scale_2)
        return self


@MODELS.register_module()
class EfficientFormerV1(EfficientFormer):
    """EfficientFormer V1 as a backbone for dense prediction.

    ``arch`` is ``'l1'``, ``'l3'``, ``'l7'`` or a dict. The other arguments, the attributes and the errors are those of
    :class:`.efficientformer.EfficientFormer`.

    Example:
        >>> net = EfficientFormerV1(arch='l1')
        >>> [tuple(f.shape) for f in net(torch.rand(1, 3, 224, 333))]
        [(1, 48, 56, 84), (1, 96, 28, 42), (1, 224, 14, 21), (1, 448, 7, 11)]
    """

    stem_activation = nn.ReLU
    norms_outputs = True

    def _has_talking_heads(self) -> bool:
        return False

    def _build_stage(self, index: int) -> Stage:
        row = self.variant
        channels = row.widths[index]
        downsample = None
        if index > 0:
            downsample = ConvNorm(row.widths[index - 1], channels, self.norm_cfg, kernel_size=3, stride=2)
        first_attention = row.depths[index] - row.attention_blocks[index]
        rates = drop_path_rates(self.drop_path_rate, row.depths)[index]
        blocks: list[nn.Module] = []
        for position, (ratio, rate) in enumerate(zip(row.expansion_ratios[index], rates, strict=True)):
            if position < first_attention:
                blocks.append(PoolingBlock(channels, ratio, self.norm_cfg, rate))
            else:
                blocks.append(self._build_token_block(index, ratio, rate))
        return Stage(downsample, blocks, self.with_cp)

    def _build_token_block(self, index: int, expansion_ratio: int, drop_path: float) -> TokenBlock:
        channels = self.variant.widths[index]
        mixer = TokenAttention(channels, self._options_at(index))
        return TokenBlock(channels, expansion_ratio, drop_path, mixer)
