"""Applying rename tables: ordered (pattern, replacement) rows, and the small repairs that names do not cover."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from torch import Tensor

from ..errors import UserError

Rule = tuple[str, str | Callable[[re.Match], str]]

#: MLPs of 1x1 convolutions, where the norms stand beside them; for the entries that :func:`is_conv_mlp` tells.
CONV_MLP_RULES: tuple[Rule, ...] = (
    (r'\.mlp\.(fc1|mid|fc2)\.', r'.mlp.\1.conv.'),
    (r'\.mlp\.norm([12])\.', r'.mlp.fc\1.norm.'),
    (r'\.mlp\.mid_norm\.', '.mlp.mid.norm.'),
)


def rename(key: str, rules: Sequence[Rule]) -> str:
    """``key`` after every rule, in order."""
    for pattern, replacement in rules:
        key = re.sub(pattern, replacement, key)
    return key


def flat_position(block_keys: Iterable[str], pattern: str, first: int = 0) -> int | None:
    """Place of V1's flattening among the blocks of the last stage.

    The published code, timm and mmpretrain number the flattening as if it were a block: that place is missing in the
    keys.

    Args:
        block_keys: keys of the file.
        pattern: regular expression whose first group is the block number.
        first: number of the first block.

    Returns:
        The missing number; None if the numbers have no hole.
    """
    compiled = re.compile(pattern)
    numbers = {int(match[1]) for match in map(compiled.match, block_keys) if match}
    holes = set(range(first, max(numbers, default=-1) + 1)) - numbers
    return holes.pop() if len(holes) == 1 else None


def close_hole(key: str, pattern: str, hole: int | None) -> str:
    """Count blocks after the flattening from one less; group 1 of ``pattern`` is the block number."""
    match = re.match(pattern, key)
    if hole is None or match is None or int(match[1]) < hole:
        return key
    return f'{key[: match.start(1)]}{int(match[1]) - 1}{key[match.end(1) :]}'


def is_conv_mlp(key: str, state_dict: Mapping[str, Tensor]) -> bool:
    """Whether ``key`` lies in an MLP of 1x1 convolutions; V1's token blocks have linear layers in theirs."""
    block = re.match(r'(.+\.\d+)\.mlp\.', key)
    weight = state_dict.get(f'{block[1]}.mlp.fc1.weight') if block else None
    return weight is not None and weight.dim() == 4


def square_table(table: Tensor, key: str) -> Tensor:
    """Flat bias table (heads, R * R) to (heads, R, R).

    Raises:
        UserError: the number of offsets is no square.
    """
    side = math.isqrt(table.shape[-1]) if table.dim() else 0
    if table.dim() != 2 or side == 0 or side * side != table.shape[-1]:
        raise UserError(f'{key}: a bias table must have shape (heads, R * R); got {tuple(table.shape)}.')
    return table.reshape(table.shape[0], side, side)
