"""Tables of one grid in a model of another."""

from __future__ import annotations

import pytest
import torch

from effformer_dense.backbones.relpos import resize_table
from effformer_dense.variants import V1_VARIANTS, V2_VARIANTS, Variant
from tests.helpers import build, randomise


def _deviations(row: Variant, mode: str) -> list[float]:
    """Per stage, at 224 px: tables of 7 x 7 in a model with a grid of 25, against the tables as they are."""
    net = randomise(build(row, bias_resize=mode)).double().eval()
    wider = build(row, bias_resize=mode, bias_grid=25).double().eval()
    wider.load_state_dict(net.state_dict())
    assert wider.stages[3].blocks[-1].token_mixer.bias.table.shape[1:] == (25, 25)
    images = torch.randn(1, 3, 224, 224, dtype=torch.float64)
    with torch.no_grad():
        pairs = zip(net(images), wider(images), strict=True)
        return [float((a - b).abs().max() / a.std()) for a, b in pairs]


@pytest.mark.parametrize('mode', ['bicubic', 'bilinear'])
def test_self_attention_comes_back_exactly(mode: str) -> None:
    """From 7 to 25 points and back to 7: every fourth of the 25 is one of the 7, where interpolation gives the value
    itself. So V1, whose tables are all of that kind, is equal but for rounding."""
    table = torch.randn(8, 7, 7, dtype=torch.float64)
    there = resize_table(table, (25, 25), mode)
    torch.testing.assert_close(resize_table(there, (7, 7), mode), table, rtol=0, atol=1e-12)
    assert max(_deviations(V1_VARIANTS['l1'], mode)) < 1e-10


@pytest.mark.parametrize('mode', ['clamp', 'geometric'])
def test_what_comes_back_of_modes_that_keep_near_offsets(mode: str) -> None:
    """The model is the same at the grid of its tables; at 7 again, it is with 'clamp' alone."""
    table = torch.randn(8, 7, 7, dtype=torch.float64)
    there = resize_table(table, (25, 25), mode)
    back = resize_table(there, (7, 7), mode)
    assert torch.equal(back, there[:, :7, :7])  # the nearest cells
    assert torch.equal(back, table) == (mode == 'clamp')
    assert torch.equal(resize_table(there, (25, 25), mode), there)


def test_what_log_stretches_it_compresses_again() -> None:
    """The farthest offset meets the farthest, both ways; between them values are interpolated twice."""
    distance = torch.arange(7, dtype=torch.float64)
    table = torch.exp(-(distance[:, None] + distance) / 4)[None]
    back = resize_table(resize_table(table, (25, 25), 'log'), (7, 7), 'log')
    assert not torch.equal(back, table)
    torch.testing.assert_close(back, table, rtol=0, atol=0.02)


@pytest.mark.parametrize(('mode', 'tolerance'), [('bicubic', 4e-4), ('bilinear', 4e-3)])
def test_the_downsampling_comes_back_nearly(mode: str, tolerance: float) -> None:
    """V2's attention downsampling has a table of twice the grid: 14 points do not lie on 50 (49 steps are no multiple
    of 13), so values between points are interpolated twice. Stages before it are equal; the tables here are noise, the
    worst case, and what deviates is stage 4: 1.3e-4 and 1.4e-3 of its standard deviation were seen."""
    *before, last = _deviations(V2_VARIANTS['s0'], mode)
    assert max(before) < 1e-10
    assert 1e-6 < last < tolerance
