"""Scores that grow with the number of keys: by how much, in every block, whichever way attention is computed."""

from __future__ import annotations

import math
from collections.abc import Callable
from unittest import mock

import pytest
import torch
from torch import nn

from effformer_dense.backbones import attention
from effformer_dense.backbones.attention import DownsamplingAttention, MapAttention, TokenAttention
from effformer_dense.backbones.options import AttentionOptions
from effformer_dense.variants import Variant
from tests.helpers import build, randomise

OPTIONS = AttentionOptions(bias_grid=3, attention_scale='log_tokens')
NORM = dict(type='BN')
#: Block, number of its keys on a map of 8 x 6 cells, and width of its keys.
BLOCKS: dict[str, tuple[Callable[[], nn.Module], int, int]] = {
    'token': (lambda: TokenAttention(4, OPTIONS), 48, 32),
    'map': (lambda: MapAttention(4, NORM, OPTIONS), 48, 32),
    'strided': (lambda: MapAttention(4, NORM, OPTIONS, stride=2), 12, 32),
    'downsampling': (lambda: DownsamplingAttention(4, 6, NORM, OPTIONS), 48, 16),
}


@pytest.mark.parametrize('kind', BLOCKS)
def test_every_block_counts_its_keys(kind: str) -> None:
    make, keys, key_dim = BLOCKS[kind]
    x = torch.randn(1, 8, 6, 4) if kind == 'token' else torch.randn(1, 4, 8, 6)
    with mock.patch.object(attention, 'attend', wraps=attention.attend) as attend:
        make()(x)
    expected = key_dim**-0.5 * math.log(keys) / math.log(9)
    assert attend.call_args.args[0].constants.scale == pytest.approx(expected, rel=1e-12)


@torch.no_grad()
def test_nothing_changes_on_the_base_grid_and_much_elsewhere(tiny: Variant) -> None:
    plain = randomise(build(tiny, bias_grid=3)).eval()
    scaled = build(tiny, bias_grid=3, attention_scale='log_tokens').eval()
    scaled.load_state_dict(plain.state_dict())
    images = torch.randn(1, 3, 96, 96)  # 3 x 3 cells, and 6 x 6 for the step from 1/16 to 1/32
    assert all(torch.equal(a, b) for a, b in zip(plain(images), scaled(images), strict=True))
    wider = torch.randn(1, 3, 192, 160)
    assert not torch.allclose(plain(wider)[-1], scaled(wider)[-1], rtol=1e-3)


def test_equal_in_chunks_and_whole_and_so_are_gradients(tiny: Variant) -> None:
    options = dict(bias_grid=3, attention_scale='log_tokens', norm_eval=True, drop_path_rate=0.0)
    whole = randomise(build(tiny, attention_chunk=10**6, **options)).train()
    parts = build(tiny, attention_chunk=5, **options).train()
    parts.load_state_dict(whole.state_dict())
    images = torch.randn(2, 3, 128, 96)
    outputs = [net(images) for net in (whole, parts)]
    for a, b in zip(*outputs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)
    wanted, found = (
        torch.autograd.grad(sum(map_.square().mean() for map_ in maps), list(net.parameters()))
        for net, maps in zip((whole, parts), outputs, strict=True)
    )
    largest = max(float(gradient.abs().max()) for gradient in wanted)
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5 * largest)


@torch.no_grad()
def test_one_key_is_no_division_by_zero(tiny: Variant) -> None:
    net = randomise(build(tiny, attention_scale='log_tokens')).eval()
    assert all(map_.isfinite().all() for map_ in net(torch.randn(1, 3, 32, 32)))
