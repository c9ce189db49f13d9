"""Properties of the relative-position bias that hold for any table and any grid."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from effformer_dense.backbones.relpos import (
    TABLE_MODES,
    BiasValues,
    expand_queries,
    expand_table,
    offset_index,
    relative_position_bias,
    resize_matrix,
    resize_table,
    signed_offsets,
)

#: Those that keep the table, of whatever is no study.
KEEPING = tuple(mode for mode in TABLE_MODES if mode != 'zero')
GRIDS = [(7, 7), (7, 11), (11, 7), (1, 1), (1, 5), (3, 2), (25, 42)]


@pytest.fixture
def table() -> Tensor:
    return torch.randn(3, 7, 7)


@pytest.mark.parametrize('stride', [1, 2])
@pytest.mark.parametrize('size', GRIDS)
def test_expansion_equals_the_lookup_by_index(size: tuple[int, int], stride: int) -> None:
    table = torch.randn(3, *size)
    looked_up = table.flatten(1)[:, offset_index(*size, stride)]
    assert torch.equal(expand_table(table, stride), looked_up)


@pytest.mark.parametrize('stride', [1, 2])
def test_backwards_is_turned_round(stride: int) -> None:
    signed, size = signed_offsets(torch.randn(3, 5, 6)), (5, 6)
    some = slice(1, 3), slice(0, 2)
    expected = expand_queries(signed, size, stride, *some).flip(1)
    assert torch.equal(expand_queries(signed, size, stride, *some, backwards=True), expected)
    values = BiasValues(signed, size, stride)
    assert torch.equal(values.part(*some, backwards=True), expected)
    whole = slice(1, 2), slice(0, values.query_size[1])
    assert torch.equal(
        values.expanded(10**6).part(*whole, backwards=True), expand_queries(signed, size, stride, *whole).flip(1)
    )


def test_few_pairs_are_looked_up_once() -> None:
    values = BiasValues(signed_offsets(torch.randn(2, 4, 4)), (4, 4), stride=2)  # 2 x 4 x 16 pairs
    assert values.expanded(127) is values
    expanded = values.expanded(128)
    assert expanded.per_pair and torch.equal(expanded.values, values.everything())


@pytest.mark.parametrize('stride', [1, 2])
def test_index_is_the_distance_of_query_and_key(stride: int) -> None:
    height, width = 5, 3
    index = offset_index(height, width, stride)
    queries = [(y, x) for y in range(0, height, stride) for x in range(0, width, stride)]
    keys = [(y, x) for y in range(height) for x in range(width)]
    expected = [[abs(qy - ky) * width + abs(qx - kx) for ky, kx in keys] for qy, qx in queries]
    assert index.tolist() == expected


@pytest.mark.parametrize('mode', KEEPING)
def test_same_size_is_the_identity(table: Tensor, mode: str) -> None:
    assert resize_table(table, (7, 7), mode) is table
    assert torch.equal(resize_matrix(table, (7, 7)), expand_table(table))


@pytest.mark.parametrize('mode', ['bicubic', 'bilinear'])
@pytest.mark.parametrize('size', [(25, 42), (42, 25), (13, 13), (4, 9), (2, 2), (1, 6)])
def test_resize_equals_torch_with_aligned_corners(table: Tensor, size: tuple[int, int], mode: str) -> None:
    expected = F.interpolate(table[None], size, mode=mode, align_corners=True)[0]
    torch.testing.assert_close(resize_table(table, size, mode), expected, atol=2e-6, rtol=1e-5)


@pytest.mark.parametrize('mode', KEEPING)
@pytest.mark.parametrize('size', [(25, 42), (3, 5), (1, 1), (1, 9)])
def test_offset_zero_stays_offset_zero(table: Tensor, size: tuple[int, int], mode: str) -> None:
    torch.testing.assert_close(resize_table(table, size, mode)[:, 0, 0], table[:, 0, 0])


@pytest.mark.parametrize('mode', TABLE_MODES)
@pytest.mark.parametrize('stride', [1, 2])
def test_equal_offsets_get_equal_bias(table: Tensor, mode: str, stride: int) -> None:
    size = (10, 13)
    bias = relative_position_bias(table, size, mode, stride).flatten(1)
    index = offset_index(*size, stride).flatten()
    for offset in index.unique():
        values = bias[:, index == offset]
        assert torch.equal(values, values[:, :1].expand_as(values))


@pytest.mark.parametrize('mode', TABLE_MODES)
@pytest.mark.parametrize('stride', [1, 2])
def test_portrait_is_the_transpose_of_landscape(table: Tensor, mode: str, stride: int) -> None:
    h, w = 6, 10
    landscape = relative_position_bias(table, (h, w), mode, stride)
    portrait = relative_position_bias(table.transpose(1, 2), (w, h), mode, stride)
    q_h, q_w = -(-h // stride), -(-w // stride)
    turned = portrait.reshape(3, q_w, q_h, w, h).permute(0, 2, 1, 4, 3).reshape(3, q_h * q_w, h * w)
    torch.testing.assert_close(landscape, turned)


def test_matrix_mode_scrambles_portrait_where_offset_space_does_not(table: Tensor) -> None:
    """Why `matrix` is legacy: with another number of token rows, its parts fall out of step (docs/bias.md)."""
    smooth = torch.exp(-torch.cartesian_prod(torch.arange(25.0), torch.arange(25.0)).norm(dim=1) / 5).reshape(1, 25, 25)

    def agreement(size: tuple[int, int]) -> float:
        pair = torch.stack([relative_position_bias(smooth, size, mode).flatten() for mode in ('matrix', 'bicubic')])
        return float(torch.corrcoef(pair)[0, 1])

    assert agreement((25, 42)) > 0.9
    assert agreement((42, 25)) < 0.5


@pytest.mark.parametrize('size', [(7, 7), (4, 9)])
def test_zero_is_no_bias(table: Tensor, size: tuple[int, int]) -> None:
    assert not resize_table(table, size, 'zero').any() and not relative_position_bias(table, size, 'zero', 2).any()


@pytest.mark.parametrize('mode', [*TABLE_MODES, 'matrix'])
@pytest.mark.parametrize('stride', [1, 2])
def test_gradients_are_right(mode: str, stride: int) -> None:
    table = torch.randn(2, 3, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda t: relative_position_bias(t, (4, 5), mode, stride), table)


def test_half_precision_and_autocast_resize_in_full(table: Tensor) -> None:
    full = resize_table(table, (9, 12))
    torch.testing.assert_close(resize_table(table.half(), (9, 12)).float(), full, atol=3e-3, rtol=0)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        assert torch.equal(resize_table(table, (9, 12)), full)


def test_unknown_mode_names_the_choices(table: Tensor) -> None:
    with pytest.raises(ValueError, match=r"clamp, geometric, log, zero; got 'geometrical'. Did you mean 'geometric'\?"):
        resize_table(table, (3, 3), 'geometrical')
