"""By what the products of queries and keys are multiplied before their softmax.

``1 / sqrt(key_dim)``, as everywhere; with ``attention_scale='log_tokens'`` times ``log N / log N0``, of ``N`` keys here
and ``N0`` of the grid that the bias table is learned on. A softmax of scores of a given spread is flatter the more of
them there are: to keep the share of one key that stands out by ``s`` among ``N`` others, ``s`` must grow with
``log N``. The bias, which is added after that, stays as it is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .options import AttentionOptions
from .tracing import is_recording


@dataclass(frozen=True)
class ScoreScale:
    """The scale of one attention block.

    Attributes:
        key_dim: width of queries and keys.
        base_tokens: ``N0``; None: the number of keys does not matter.
    """

    key_dim: int
    base_tokens: int | None = None

    @classmethod
    def of(cls, key_dim: int, options: AttentionOptions) -> ScoreScale:
        """As the options say; ``options.bias_grid`` must be the side of the block's own table."""
        return cls(key_dim, None if options.attention_scale is None else options.bias_grid**2)

    def divide(self, q: Tensor, tokens: int) -> tuple[Tensor, float]:
        """Queries and a number, whose product is that of queries and scale.

        Costs nothing: the number is one that scores are multiplied by anyway. Only where a graph is recorded, in which
        the number of keys may be a symbol and no Python number, the queries take that part.

        Args:
            q: queries, any shape.
            tokens: ``N``, number of keys.
        """
        scale = self.key_dim**-0.5
        if self.base_tokens is None:
            return q, scale
        if not is_recording():
            return q, scale * (math.log(tokens) / math.log(self.base_tokens))
        here, base = (
            torch.full((), count, dtype=torch.float32, device=q.device).log() for count in (tokens, self.base_tokens)
        )
        return q * (here / base).to(q.dtype), scale
