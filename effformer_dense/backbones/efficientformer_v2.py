"""EfficientFormer V2 (arXiv 2212.08059): unified FFN everywhere, attention in the last two stages."""

from __future__ import annotations

from collections.abc import Sequence

from mmengine.registry import MODELS
from torch import Tensor, nn

from ..variants import V2_VARIANTS
from .attention import DualPathDownsample, MapAttention
from .base import DenseBackbone, Stage, pick_variant
from .layers import ConvMlp, ConvNorm, DropPath, LayerScale, add_branch, drop_path_rates


class FfnBlock(nn.Module):
    """Unified FFN with residual, on maps (B, C, H, W)."""

    def __init__(self, channels: int, expansion_ratio: int, norm_cfg: dict, drop_path: float) -> None:
        super().__init__()
        self.mlp = ConvMlp(channels, expansion_ratio, norm_cfg, depthwise=True)
        self.layer_scale_2 = LayerScale(channels)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        return add_branch(x, self.mlp, self.layer_scale_2, self.drop_path)


class AttentionBlock(FfnBlock):
    """Attention with residual, then the unified FFN, on maps (B, C, H, W)."""

    def __init__(
        self, channels: int, expansion_ratio: int, norm_cfg: dict, drop_path: float, token_mixer: nn.Module
    ) -> None:
        super().__init__(channels, expansion_ratio, norm_cfg, drop_path)
        self.token_mixer = token_mixer
        self.layer_scale_1 = LayerScale(channels)

    def forward(self, x: Tensor) -> Tensor:
        x = add_branch(x, self.token_mixer, self.layer_scale_1, self.drop_path)
        return super().forward(x)


@MODELS.register_module()
class EfficientFormerV2(DenseBackbone):
    """EfficientFormer V2 as a backbone for dense prediction.

    Args:
        arch: ``'s0'``, ``'s1'``, ``'s2'`` or ``'l'``.
        out_norm: off by default, as in the published dense models.

    The other arguments, the attributes and the errors are those of :class:`.base.DenseBackbone`. The table of the
    attention downsampling from 1/16 to 1/32 lives on a grid of ``2 * bias_grid``.

    Example:
        >>> net = EfficientFormerV2(arch='s0')
        >>> [tuple(f.shape) for f in net(torch.rand(1, 3, 224, 333))]
        [(1, 32, 56, 84), (1, 48, 28, 42), (1, 96, 14, 21), (1, 176, 7, 11)]
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
        out_norm: bool = False,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(
            variant=pick_variant(V2_VARIANTS, arch),
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
            activation=nn.GELU,
        )

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
