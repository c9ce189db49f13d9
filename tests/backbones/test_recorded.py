"""What graphs hold in place of the fast way: the same numbers."""

from __future__ import annotations

from unittest import mock

import pytest
import torch

from effformer_dense.backbones import recorded
from effformer_dense.backbones.attend import attend_whole
from effformer_dense.backbones.chunked import Operands
from effformer_dense.backbones.relpos import RESIZE_MODES, BiasValues, relative_position_bias

#: Of keys: landscape, portrait, a row, a single cell, the table's own.
GRIDS = [(4, 7), (9, 2), (1, 5), (1, 1), (5, 5)]


@pytest.mark.parametrize('mode', RESIZE_MODES)
@pytest.mark.parametrize('stride', [1, 2])
@pytest.mark.parametrize('grid', GRIDS)
def test_bias_of_pairs(grid: tuple[int, int], stride: int, mode: str) -> None:
    table = torch.randn(3, 5, 5, dtype=torch.float64)
    found = recorded.bias_of_pairs(table, grid, mode, stride)
    torch.testing.assert_close(found, relative_position_bias(table, grid, mode, stride))


@pytest.mark.parametrize('mixed', [False, True], ids=['heads', 'talking heads'])
@pytest.mark.parametrize('stride', [1, 2])
def test_attention(mixed: bool, stride: int) -> None:
    draw = lambda *shape: torch.randn(*shape, dtype=torch.float64)  # noqa: E731
    size, heads = (5, 3), 2
    queries = [-(-side // stride) for side in size]
    bias = BiasValues(draw(heads, queries[0] * queries[1], 15), size, stride, per_pair=True)
    mixes = (draw(heads, heads), draw(heads, heads)) if mixed else (None, None)
    q, k, v = draw(2, *queries, heads, 4), draw(2, *size, heads, 4), draw(2, *size, heads, 6)
    operands = Operands.with_bias(q, k, v, bias, 0.5, mixes)
    torch.testing.assert_close(recorded.attend_recorded(operands), attend_whole(operands))


def test_output_norm() -> None:
    norm = recorded.OutputNorm(6).double()
    torch.nn.init.normal_(norm.weight)
    torch.nn.init.normal_(norm.bias)
    maps = 3 + torch.randn(2, 6, 5, 7, dtype=torch.float64)
    wanted = torch.nn.functional.group_norm(maps, 1, norm.weight, norm.bias, norm.eps)
    torch.testing.assert_close(norm(maps), wanted)
    with mock.patch.object(recorded, 'wants_standard_operators', return_value=True):
        assert not torch.equal(norm(maps), wanted)  # the other way was taken
        torch.testing.assert_close(norm(maps), wanted)
