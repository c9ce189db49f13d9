"""EfficientFormer V2 (arXiv 2212.08059): unified FFN everywhere, attention in the last two stages."""

from __future__ import annotations

from mmengine.registry import MODELS
from torch import Tensor, nn

from ..variants import STRIDES
from .attention import DualPathDownsample, MapAttention
from .base import Stage
from .efficientformer import EfficientFormer
from .efficientformer_v1 import PoolingBlock
from .fused import FusedResidual, fold_layer_scale, fuse_mlp
from .layers import ConvMlp, ConvNorm, DropPath, LayerScale, drop_path_rates


class FfnBlock(nn.Module):
    """Feed-forward network with residual, on maps (B, C, H, W): V2's unified FFN, or a plain one."""

    def __init__(
        self, channels: int, expansion_ratio: int, norm_cfg: dict, drop_path: float, depthwise: bool = True
    ) -> None:
        super().__init__()
        self.mlp = ConvMlp(channels, expansion_ratio, norm_cfg, depthwise)
        self.layer_scale_2 = LayerScale(channels)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.drop_path(self.layer_scale_2.after(self.mlp, x))

    def fused(self) -> nn.Module:
        """For inference, the layer scales folded. It takes over the block's layers, which change."""
        return fuse_mlp(self.mlp, self.layer_scale_2)


class MixerBlock(FfnBlock):
    """A token mixer with residual, then the feed-forward network, on maps (B, C, H, W).

    Args:
        channels, expansion_ratio, norm_cfg, drop_path, depthwise: see :class:`FfnBlock`.
        token_mixer: attention, or in the paper's second step a depth-wise convolution; its ``proj`` or itself ends in
            a :class:`.layers.ConvNorm`, which takes a factor per channel.
    """

    def __init__(
        self,
        channels: int,
        expansion_ratio: int,
        norm_cfg: dict,
        drop_path: float,
        token_mixer: MapAttention | ConvNorm,
        depthwise: bool = True,
    ) -> None:
        super().__init__(channels, expansion_ratio, norm_cfg, drop_path, depthwise)
        self.token_mixer = token_mixer
        self.layer_scale_1 = LayerScale(channels)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.drop_path(self.layer_scale_1.after(self.token_mixer, x))
        return super().forward(x)

    def fused(self) -> nn.Module:
        last = getattr(self.token_mixer, 'proj', self.token_mixer)
        scale = fold_layer_scale(last, self.layer_scale_1)
        return nn.Sequential(FusedResidual(self.token_mixer, scale), super().fused())


@MODELS.register_module()
class EfficientFormerV2(EfficientFormer):
    """EfficientFormer V2 as a backbone for dense prediction.

    ``arch`` is ``'s0'``, ``'s1'``, ``'s2'``, ``'l'`` or a dict. The other arguments, the attributes and the errors are
    those of :class:`.efficientformer.EfficientFormer`. The bias table of the attention downsampling from
    1/16 to 1/32 lives on a grid of ``2 * bias_grid``.

    Example:
        >>> net = EfficientFormerV2(arch='s0')
        >>> [tuple(f.shape) for f in net(torch.rand(1, 3, 224, 333))]
        [(1, 32, 56, 84), (1, 48, 28, 42), (1, 96, 14, 21), (1, 176, 7, 11)]
    """

    stem_activation = nn.GELU

    def _has_talking_heads(self) -> bool:
        return self.variant.talking_heads

    def _build_stage(self, index: int) -> Stage:
        row = self.variant
        first_attention = row.depths[index] - row.attention_blocks[index]
        rates = drop_path_rates(self.drop_path_rate, row.depths)[index]
        blocks: list[nn.Module] = []
        for position, (ratio, rate) in enumerate(zip(row.expansion_ratios[index], rates, strict=True)):
            build = self._build_local_block if position < first_attention else self._build_attention_block
            blocks.append(build(index, ratio, rate))
        return Stage(self._build_downsample(index), blocks, self.with_cp)

    def _build_local_block(self, index: int, expansion_ratio: int, drop_path: float) -> nn.Module:
        channels, mixer = self.variant.widths[index], self.variant.local_mixer
        if mixer == 'pool':
            return PoolingBlock(channels, expansion_ratio, self.norm_cfg, drop_path)
        if mixer == 'ffn':
            return FfnBlock(channels, expansion_ratio, self.norm_cfg, drop_path)
        convolution = ConvNorm(channels, channels, self.norm_cfg, kernel_size=3, groups=channels)
        return MixerBlock(channels, expansion_ratio, self.norm_cfg, drop_path, convolution, depthwise=False)

    def _build_attention_block(self, index: int, expansion_ratio: int, drop_path: float) -> MixerBlock:
        row = self.variant
        # At 1/16, stride attention runs on the 1/32 grid.
        strided = row.stride_attention and STRIDES[index] == 16
        mixer = MapAttention(
            row.widths[index],
            self.norm_cfg,
            self._options_at(index + 1 if strided else index),
            stride=2 if strided else 1,
            talking_heads=row.talking_heads,
            local_value=row.local_value,
        )
        depthwise = row.local_mixer == 'ffn'
        return MixerBlock(row.widths[index], expansion_ratio, self.norm_cfg, drop_path, mixer, depthwise)

    def _build_downsample(self, index: int) -> nn.Module | None:
        if index == 0:
            return None
        before, after = self.variant.widths[index - 1 : index + 1]
        if STRIDES[index] == 32 and self.variant.attention_downsample:
            return DualPathDownsample(before, after, self.norm_cfg, self._options_at(index - 1))
        return ConvNorm(before, after, self.norm_cfg, kernel_size=3, stride=2)
