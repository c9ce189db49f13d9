"""Memory of networks, counted."""

from __future__ import annotations

import pytest
import torch

from effformer_dense.search import memory
from effformer_dense.search.memory import peak_mib
from effformer_dense.search.networks import build_backbone, parameters_of
from effformer_dense.variants import V1, V2
from tests.helpers import TINY_V1, TINY_V2

from .spaces import small

MIB = 2**20


def test_what_lives_at_once_is_counted() -> None:
    kib = torch.empty(256, device='meta')
    with memory._Living() as living:
        first = kib + 1  # 1 KiB
        second = first.repeat(2)  # 3
        view = second[:10]
        del first, second
        assert living.peak == 3 * 1024 and living._now == 2 * 1024, 'a view holds all that it is a view of'
        del view
        third = kib.add_(1).repeat(2)  # 2: in place, nothing is made
        assert living.peak == 3 * 1024 and living._now == 2 * 1024
        fourth = third + 1
    assert living.peak == 4 * 1024 and fourth.shape == (512,)


@pytest.mark.parametrize('row', [TINY_V1, TINY_V2], ids=['v1', 'v2'])
@pytest.mark.parametrize('size', [(192, 160), (320, 512)])
def test_stages_by_themselves_are_the_whole_network(row, size: tuple[int, int]) -> None:
    """Nearly: one forward pass on a CPU makes copies for its products, which are not counted."""
    backbone = build_backbone(row).eval()
    with torch.no_grad(), memory._Living() as living:
        backbone(torch.zeros(1, 3, *size))
    weights = sum(value.nbytes for value in (*backbone.parameters(), *backbone.buffers()))
    whole = (weights + living.peak) / MIB
    assert 0.8 * whole < peak_mib(row, *size) < 1.1 * whole


@pytest.mark.parametrize('family', [V1, V2])
def test_smaller_networks_need_less(family: str) -> None:
    space = small(family)
    largest, smallest = space.largest.row, space.smallest.row
    assert peak_mib(smallest, 224, 224) < peak_mib(largest, 224, 224) < peak_mib(largest, 448, 448)
    assert peak_mib(largest, 224, 224) > parameters_of(largest) * 4 / MIB


def test_what_was_counted_before_is_not_mixed_up() -> None:
    space = small(V2)
    rows = [space.largest.row, *(step.state.row for step in space.frontier(space.largest))]
    together = [peak_mib(row, 128, 96) for row in rows]
    for row, found in zip(rows, together, strict=True):
        memory._counted.clear()
        peak_mib.cache_clear()
        assert peak_mib(row, 128, 96) == found
    assert len(set(together)) > 3
