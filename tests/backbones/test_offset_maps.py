"""Ways of bringing a table to another grid: what holds for all, over all sizes, and a second way to compute each."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from effformer_dense.backbones.offset_maps import MODES, geometric, interpolation_matrix
from effformer_dense.backbones.relpos import expand_table, relative_position_bias, resize_signed, resize_table

KEEPING = sorted(set(MODES) - {'zero'})
MONOTONE = sorted(set(KEEPING) - {'bicubic'})
#: Those in which the farthest offset of a larger grid has the value of the farthest of the table.
FAR_MEETS_FAR = ['bicubic', 'bilinear', 'geometric', 'log']

modes = st.sampled_from(KEEPING)
sides = st.integers(1, 40)
table_sides = st.integers(1, 16)
seeds = st.integers(0, 99)

quick = settings(max_examples=60, deadline=None, derandomize=True)


def _table(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


# A second way: one offset at a time, in Python's own numbers.


def _progression(source: int, target: int) -> list[float]:
    """Where the samples stand: 0, 1, 1 + q, ..., ``target - 1``; q by halving an interval."""
    reach = lambda q: sum(q**k for k in range(source - 1))  # noqa: E731
    low, high = 1.0, float(max(target, 2))
    for _ in range(200):
        q = (low + high) / 2
        low, high = (q, high) if reach(q) < target - 1 else (low, q)
    return [sum(low**k for k in range(number)) for number in range(source)]


def _coordinate(mode: str, offset: int, source: int, target: int) -> float:
    if mode in ('bicubic', 'bilinear'):
        return offset * (source - 1) / (target - 1) if target > 1 else 0.0
    if mode == 'log':
        return source ** (math.log(1 + offset) / math.log(target)) - 1 if target > 1 else 0.0
    if mode == 'geometric' and source > 2 and target > source:
        stands = _progression(source, target)
        before = max(k for k in range(source) if stands[k] <= offset + 1e-9)
        if before == source - 1:
            return before
        return before + (offset - stands[before]) / (stands[before + 1] - stands[before])
    return min(offset, source - 1)


def _kernel(mode: str, distance: float) -> float:
    """Keys' cubic convolution with a = -3/4, or the two neighbours."""
    if mode != 'bicubic':
        return max(0.0, 1 - distance)
    if distance <= 1:
        return 1.25 * distance**3 - 2.25 * distance**2 + 1
    return -0.75 * (distance**3 - 5 * distance**2 + 8 * distance - 4) if distance < 2 else 0.0


def _at(mode: str, values: Sequence[float], offset: int, target: int) -> float:
    x = _coordinate(mode, offset, len(values), target)
    around = range(math.floor(x) - 1, math.floor(x) + 3)
    return sum(_kernel(mode, abs(x - k)) * values[min(max(k, 0), len(values) - 1)] for k in around)


def _slow_table(table: Tensor, size: tuple[int, int], mode: str) -> Tensor:
    """One head (R, C) to (h, w)."""
    rows = [[_at(mode, column, y, size[0]) for column in table.T.tolist()] for y in range(size[0])]
    return torch.tensor([[_at(mode, row, x, size[1]) for x in range(size[1])] for row in rows], dtype=torch.float64)


@quick
@given(modes, table_sides, table_sides, sides, sides, seeds)
def test_equals_a_loop_over_offsets(mode: str, rows: int, columns: int, h: int, w: int, seed: int) -> None:
    table = _table(seed, 1, rows, columns)
    torch.testing.assert_close(
        resize_table(table, (h, w), mode)[0], _slow_table(table[0], (h, w), mode), atol=1e-7, rtol=0
    )


@settings(quick, max_examples=20)
@given(modes, table_sides, st.integers(1, 7), st.integers(1, 7), st.sampled_from([1, 2]), seeds)
def test_bias_equals_a_loop_over_pairs(mode: str, side: int, h: int, w: int, stride: int, seed: int) -> None:
    """Stride 2 is V2's attention downsampling."""
    table = _table(seed, 1, side, side)
    resized = _slow_table(table[0], (h, w), mode)
    queries = [(y, x) for y in range(0, h, stride) for x in range(0, w, stride)]
    keys = [(y, x) for y in range(h) for x in range(w)]
    expected = [[float(resized[abs(qy - ky), abs(qx - kx)]) for ky, kx in keys] for qy, qx in queries]
    found = relative_position_bias(table, (h, w), mode, stride)[0]
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64), atol=1e-7, rtol=0)


# What holds for all of them.


@quick
@given(modes, st.integers(1, 60), st.sampled_from([torch.float32, torch.float64]))
def test_own_size_is_the_identity_to_the_bit(mode: str, side: int, dtype: torch.dtype) -> None:
    """Also where nobody asks whether it is: in recorded programs, and in the map that windows are cut from."""
    like = torch.zeros(1, dtype=dtype)
    assert torch.equal(interpolation_matrix(side, side, mode, like), torch.eye(side, dtype=dtype))
    table = _table(side, 2, side, side).to(dtype)
    assert torch.equal(resize_signed(table, (side, side), mode)[:, side - 1 :, side - 1 :], table)
    assert (
        torch.equal(relative_position_bias(table[:, :4, :4], (4, 4), mode), expand_table(table[:, :4, :4])) or side < 4
    )


@quick
@given(modes, table_sides, table_sides, sides, sides, seeds)
def test_transposed_table_gives_the_transpose(mode: str, rows: int, columns: int, h: int, w: int, seed: int) -> None:
    table = _table(seed, 2, rows, columns)
    turned = resize_table(table.transpose(1, 2), (w, h), mode).transpose(1, 2)
    torch.testing.assert_close(turned, resize_table(table, (h, w), mode), atol=1e-12, rtol=0)


@quick
@given(modes, table_sides, sides, sides, seeds)
def test_offset_zero_stays_and_constants_stay(mode: str, side: int, h: int, w: int, seed: int) -> None:
    table = _table(seed, 2, side, side)
    resized = resize_table(table, (h, w), mode)
    assert torch.equal(resized[:, 0, 0], table[:, 0, 0])
    constant = resize_table(torch.ones_like(table), (h, w), mode)
    torch.testing.assert_close(constant, torch.ones_like(constant), atol=1e-12, rtol=0)


@quick
@given(st.sampled_from(MONOTONE), table_sides, sides, sides, seeds)
def test_monotone_stays_monotone(mode: str, side: int, h: int, w: int, seed: int) -> None:
    falling = -_table(seed, 1, side, side).abs().cumsum(1).cumsum(2)
    resized = resize_table(falling, (h, w), mode)
    assert resized.diff(dim=1).le(1e-12).all() and resized.diff(dim=2).le(1e-12).all()


def test_bicubic_overshoots_beside_a_step() -> None:
    """The one that need not stay monotone, by a tenth of the step."""
    step = torch.zeros(1, 7, 7, dtype=torch.float64)
    step[:, 3:] = 1
    resized = resize_table(step, (25, 25), 'bicubic')
    assert resized.diff(dim=1).min() < 0 and 0 < resized.max() - 1 < 0.12 and -0.12 < resized.min() < 0


@quick
@given(st.sampled_from(FAR_MEETS_FAR), st.integers(3, 16), st.integers(0, 40), seeds)
def test_farthest_meets_farthest_on_larger_grids(mode: str, side: int, more: int, seed: int) -> None:
    table = _table(seed, 1, side, side)
    corner = resize_table(table, (side + more, side + more), mode)[0, -1, -1]
    torch.testing.assert_close(corner, table[0, -1, -1], atol=1e-12, rtol=0)


@quick
@given(st.integers(1, 40), st.integers(0, 40), st.integers(1, 16), seeds)
def test_clamp_of_a_larger_grid_is_that_of_the_smaller_on_shared_offsets(
    small: int, more: int, side: int, seed: int
) -> None:
    table = _table(seed, 2, side, side).float()
    larger = resize_table(table, (small + more, small + more + 3), 'clamp')
    assert torch.equal(larger[:, :small, :small], resize_table(table, (small, small), 'clamp'))
    shared = min(small, side)
    assert torch.equal(larger[:, :shared, :shared], table[:, :shared, :shared])


@quick
@given(st.integers(3, 16), st.integers(2, 100))
def test_geometric_keeps_offset_one_and_spreads_the_rest(source: int, target: int) -> None:
    x = geometric(source, target, torch.zeros(1, dtype=torch.float64))
    steps = x.diff()
    assert x[1] == 1 and steps.le(1 + 1e-12).all() and steps.diff().le(1e-9).all()


@pytest.mark.parametrize('mode', KEEPING)
def test_single_precision_is_as_good(mode: str) -> None:
    table = _table(0, 4, 14, 14)
    for size in [(50, 84), (84, 50), (14, 15), (3, 200)]:
        exact = resize_table(table, size, mode)
        torch.testing.assert_close(resize_table(table.float(), size, mode).double(), exact, atol=1e-3, rtol=0)
