"""EfficientFormer V2 (arXiv 2212.08059): unified FFN everywhere, attention in the last two stages."""

from __future__ import annotations

from mmengine.registry import MODELS
from torch import Tensor, nn

from ..variants import V2_VARIANTS
from .attention import DualPathDownsample, MapAttention
from .base import Stage
from .efficientformer import EfficientFormer
from .fused import FusedResidual, fold_layer_scale, fuse_mlp
from .layers import ConvMlp, ConvNorm, DropPath, LayerScale, drop_path_rates


class FfnBlock(nn.Module):
    """Unified FFN with residual, on maps (B, C, H, W)."""

    def __init__(self, channels: int, expansion_ratio: int, norm_cfg: dict, drop_path: float) -> None:
        super().__init__()
        self.mlp = ConvMlp(channels, expansion_ratio, norm_cfg, depthwise=True)
        self.layer_scale_2 = LayerScale(channels)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.drop_path(self.layer_scale_2.after(self.mlp, x))

    def fused(self) -> nn.Module:
        """For inference, the layer scales folded. It takes over the block's layers, which change."""
        return fuse_mlp(self.mlp, self.layer_scale_2)


class AttentionBlock(FfnBlock):
    """Attention with residual, then the unified FFN, on maps (B, C, H, W)."""

    def __init__(
        self, channels: int, expansion_ratio: int, norm_cfg: dict, drop_path: float, token_mixer: MapAttention
    ) -> None:
        super().__init__(channels, expansion_ratio, norm_cfg, drop_path)
        self.token_mixer = token_mixer
        self.layer_scale_1 = LayerScale(channels)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.drop_path(self.layer_scale_1.after(self.token_mixer, x))
        return super().forward(x)

    def fused(self) -> nn.Module:
        scale = fold_layer_scale(self.token_mixer.proj, self.layer_scale_1)
        return nn.Sequential(FusedResidual(self.token_mixer, scale), super().fused())


@MODELS.register_module()
class EfficientFormerV2(EfficientFormer):
    """EfficientFormer V2 as a backbone for dense prediction.

    ``arch`` is ``'s0'``, ``'s1'``, ``'s2'`` or ``'l'``. The other arguments, the attributes and the errors are those of
    :class:`.efficientformer.EfficientFormer`. The bias table of the attention downsampling from 1/16 to 1/32 lives on a
    grid of ``2 * bias_grid``.

    Example:
        >>> net = EfficientFormerV2(arch='s0')
        >>> [tuple(f.shape) for f in net(torch.rand(1, 3, 224, 333))]
        [(1, 32, 56, 84), (1, 48, 28, 42), (1, 96, 14, 21), (1, 176, 7, 11)]
    """

    variants = V2_VARIANTS
    stem_activation = nn.GELU
    has_talking_heads = True

    def _build_stage(self, index: int) -> Stage:
        row = self.variant
        first_attention = row.depths[index] - (row.num_attention_blocks if index >= 2 else 0)
        rates = drop_path_rates(self.drop_path_rate, row.depths)[index]
        blocks: list[nn.Module] = []
        for position, (ratio, rate) in enumerate(zip(row.expansion_ratios[index], rates, strict=True)):
            if position < first_attention:
                blocks.append(FfnBlock(row.widths[index], ratio, self.norm_cfg, rate))
            else:
                blocks.append(self._build_attention_block(index, ratio, rate))
        return Stage(self._build_downsample(index), blocks, self.with_cp)

    def _build_attention_block(self, index: int, expansion_ratio: int, drop_path: float) -> AttentionBlock:
        channels = self.variant.widths[index]
        stride = 2 if index == 2 else 1  # attention at 1/16 runs on the 1/32 grid
        mixer = MapAttention(channels, self.norm_cfg, self.attention_options, stride)
        return AttentionBlock(channels, expansion_ratio, self.norm_cfg, drop_path, mixer)

    def _build_downsample(self, index: int) -> nn.Module | None:
        if index == 0:
            return None
        before, after = self.variant.widths[index - 1 : index + 1]
        if index == 3:
            options = self.attention_options.on_grid(2 * self.attention_options.bias_grid)
            return DualPathDownsample(before, after, self.norm_cfg, options)
        return ConvNorm(before, after, self.norm_cfg, kernel_size=3, stride=2)
