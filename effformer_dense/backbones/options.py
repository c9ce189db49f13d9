"""Options of attention that travel together from the backbone to every attention block."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..errors import UserError, choice_error
from .offset_maps import DEFAULT_MODE
from .relpos import RESIZE_MODES

ATTENTION_SCALES = (None, 'log_tokens')
TALKING_BIASES = ('sum', 'mean')


@dataclass(frozen=True)
class AttentionOptions:
    """How an attention block learns its bias and how it computes.

    Attributes:
        bias_grid: side, in key cells, of the grid that the bias table is learned on.
        bias_resize: how the table reaches the grid at hand, one of :data:`.relpos.RESIZE_MODES`.
        chunk: queries computed at once; None: chosen from the sizes, see :func:`.chunked.queries_for`.
        attention_scale: how scores follow the number of keys, one of :data:`ATTENTION_SCALES`; see :mod:`.scale`.
        talking_bias: how the second talking head's bias follows the number of keys, one of :data:`TALKING_BIASES`; see
            :class:`.attention.MapAttention`.

    Raises:
        UserError: a value outside its choices, named as the backbone's argument is.
    """

    bias_grid: int = 7
    bias_resize: str = DEFAULT_MODE
    chunk: int | None = None
    attention_scale: str | None = None
    talking_bias: str = 'sum'

    def __post_init__(self) -> None:
        if not isinstance(self.bias_grid, int) or self.bias_grid < 1:
            raise UserError(f'bias_grid must be a positive number of 1/32 cells (7 = 224 px); got {self.bias_grid!r}.')
        if self.bias_resize not in RESIZE_MODES:
            raise choice_error('bias_resize', self.bias_resize, RESIZE_MODES)
        if self.chunk is not None and (not isinstance(self.chunk, int) or self.chunk < 1):
            raise UserError(
                f'attention_chunk must be a positive number of queries, or None to choose one; got {self.chunk!r}.'
            )
        if self.attention_scale not in ATTENTION_SCALES:
            raise choice_error('attention_scale', self.attention_scale, ATTENTION_SCALES)
        if self.talking_bias not in TALKING_BIASES:
            raise choice_error('talking_bias', self.talking_bias, TALKING_BIASES)
        if self.attention_scale is not None and self.bias_grid == 1:
            raise UserError(
                f'attention_scale={self.attention_scale!r} compares with the cells of the bias grid, which must be '
                'more than one: set bias_grid to the grid of the training, 7 for 224 px; got bias_grid 1.'
            )

    def on_grid(self, bias_grid: int) -> AttentionOptions:
        """The same with a table on another grid."""
        return replace(self, bias_grid=bias_grid)
