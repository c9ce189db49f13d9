"""What graphs hold in place of the fast way: the same numbers."""

from __future__ import annotations

from unittest import mock

import pytest
import torch

from effformer_dense.backbones import recorded
from effformer_dense.backbones.attend import attend_whole
from effformer_dense.backbones.chunked import Operands
from effformer_dense.backbones.relpos import RESIZE_MODES, bias_values

#: Of keys: landscape, portrait, a row, a single cell, the table's own.
GRIDS = [(4, 7), (9, 2), (1, 5), (1, 1), (5, 5)]


def _draw(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64)


@pytest.mark.parametrize('mode', RESIZE_MODES)
@pytest.mark.parametrize('stride', [1, 2])
@pytest.mark.parametrize('grid', GRIDS)
@pytest.mark.parametrize('mixed', [False, True], ids=['heads', 'talking heads'])
def test_attention(mixed: bool, grid: tuple[int, int], stride: int, mode: str) -> None:
    table = _draw(2, 5, 5)
    queries = [-(-side // stride) for side in grid]
    mixes = (_draw(2, 2), _draw(2, 2)) if mixed else (None, None)
    q, k, v = _draw(2, *queries, 2, 4), _draw(2, *grid, 2, 4), _draw(2, *grid, 2, 6)
    bias, usual = recorded.recorded_bias(table, grid, mode, stride), bias_values(table, grid, mode, stride)
    found = recorded.attend_recorded(Operands.with_bias(q, k, v, bias, 0.5, mixes))
    torch.testing.assert_close(found, attend_whole(Operands.with_bias(q, k, v, usual, 0.5, mixes)))


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
