"""Small spaces, with every kind of block and choice."""

from __future__ import annotations

from effformer_dense.search.space import Space
from effformer_dense.variants import V1, V2

SMALL_V2 = dict(
    widths=((8, 16), (16, 24), (16, 24, 32), (24, 48)), depths=(2, 1, 3, 2), ratios=(2, 3), attention=(0, 0, 2, 2)
)
SMALL_V1 = dict(
    widths=((16, 32), (16, 32), (32, 48), (32, 64)), depths=(2, 1, 3, 2), ratios=(4,), attention=(0, 0, 1, 2)
)
SPACES = {V1: SMALL_V1, V2: SMALL_V2}


def small(family: str) -> Space:
    return Space.from_config(family, SPACES[family])
