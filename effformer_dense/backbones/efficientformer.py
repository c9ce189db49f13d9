"""What both generations of EfficientFormer share: the stem, and the options of attention with a learned bias."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from torch import nn

from ..errors import UserError
from ..variants import STRIDES
from .base import DenseBackbone
from .layers import Stem
from .offset_maps import DEFAULT_MODE
from .options import AttentionOptions

#: Cells that ``bias_grid`` counts, in px.
_GRID_STRIDE = 32


class EfficientFormer(DenseBackbone):
    """Base of the EfficientFormer backbones.

    Args:
        bias_grid: side, in 1/32 cells, of the grid of the learnable bias tables: 7 = 224 px, 25 = 800 px.
            Tables of loaded weights are resized to it.
        bias_resize: how tables reach the grid of the image: one of ``offset_maps.MODES`` (``'geometric'``,
            ``'clamp'``, ...), or ``'matrix'`` for the published COCO and ADE20K weights (:mod:`.relpos`).
        attention_chunk: queries whose attention is computed at once; None: chosen from the sizes
            (:func:`.chunked.queries_for`). Changes time and memory, not results.
        attention_scale: None, or ``'log_tokens'`` for scores that grow with the number of tokens (:mod:`.scale`).
        talking_bias: of V2; ``'sum'``, as published, or ``'mean'`` for features that do not grow with the number of
            tokens (:class:`.attention.MapAttention`).
        arch, out_indices, drop_path_rate, frozen_stages, norm_eval, norm_cfg, with_cp, out_norm, init_cfg: see
            :class:`.base.DenseBackbone`, which has the attributes as well.

    Raises:
        UserError: an argument outside its choices.
    """

    stem_activation: ClassVar[type[nn.Module]]

    def __init__(
        self,
        arch: str | Mapping[str, Any],
        out_indices: Sequence[int] = (0, 1, 2, 3),
        bias_grid: int = 7,
        bias_resize: str = DEFAULT_MODE,
        drop_path_rate: float | None = None,
        frozen_stages: int = -1,
        norm_eval: bool = False,
        norm_cfg: dict | None = None,
        with_cp: bool = False,
        attention_chunk: int | None = None,
        attention_scale: str | None = None,
        talking_bias: str = 'sum',
        out_norm: bool | None = None,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(
            arch, out_indices, drop_path_rate, frozen_stages, norm_eval, norm_cfg, with_cp, out_norm, init_cfg
        )
        self.bias_grid, self.bias_resize = bias_grid, bias_resize
        self.attention_options = AttentionOptions(
            bias_grid, bias_resize, attention_chunk, attention_scale, talking_bias
        )
        if talking_bias != 'sum' and not self._has_talking_heads():
            raise UserError(
                f'talking_bias={talking_bias!r} is for V2: {self.variant.name} has no talking heads. Leave it out.'
            )
        self._assemble()

    def _has_talking_heads(self) -> bool:
        raise NotImplementedError

    def _options_at(self, index: int) -> AttentionOptions:
        """Options of attention among the cells of a stage's map."""
        # A grid of 7 at 1/32 is one of 14 at 1/16 and of 4 at 1/64: of a picture of 224 px.
        return self.attention_options.on_grid(-(-self.bias_grid * _GRID_STRIDE // STRIDES[index]))

    def _build_stem(self) -> Stem:
        return Stem(self.variant.widths[0], self.norm_cfg, self.stem_activation)
