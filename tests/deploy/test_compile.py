"""``torch.compile`` without a break in the graph: equal maps and gradients."""

from __future__ import annotations

import pytest
import torch

from effformer_dense.backbones.relpos import RESIZE_MODES
from effformer_dense.deploy import fuse
from effformer_dense.deploy.speed import speed_up
from effformer_dense.errors import UserError
from effformer_dense.variants import Variant
from tests.helpers import build, randomise


def _compile(net: torch.nn.Module, dynamic: bool):
    torch._dynamo.reset()
    return torch.compile(net, fullgraph=True, dynamic=dynamic, backend='aot_eager')


@torch.no_grad()
def _deviation(call, net: torch.nn.Module, size: tuple[int, int]) -> float:
    images = torch.randn(2, 3, *size)
    return max(float((a - b).abs().max() / b.std()) for a, b in zip(call(images), net(images), strict=True))


@pytest.mark.slow
@pytest.mark.parametrize('fused', [False, True], ids=['plain', 'fused'])
@pytest.mark.parametrize('mode', RESIZE_MODES)
def test_one_size(tiny: Variant, mode: str, fused: bool) -> None:
    net = randomise(build(tiny, bias_resize=mode)).eval()
    assert _deviation(_compile(fuse(net) if fused else net, dynamic=False), net, (97, 130)) < 1e-5


def test_nothing_to_compile_is_said() -> None:
    with pytest.raises(UserError, match='Conv2d has no backbone of effformer_dense to be compiled'):
        speed_up(torch.nn.Conv2d(3, 3, 1), fused=False, compiled=True)


@pytest.mark.minutes
@pytest.mark.parametrize(
    'options',
    [{}, dict(bias_resize='geometric', attention_scale='log_tokens'), dict(bias_resize='log')],
    ids=['bicubic', 'geometric', 'log'],
)
@pytest.mark.parametrize('fused', [False, True], ids=['plain', 'fused'])
def test_any_size(tiny: Variant, fused: bool, options: dict) -> None:
    net = randomise(build(tiny, **options)).eval()
    compiled = _compile(fuse(net) if fused else net, dynamic=True)
    for size in [(96, 128), (131, 77), (32, 32)]:
        assert _deviation(compiled, net, size) < 1e-5, size


@pytest.mark.slow
def test_gradients(tiny: Variant) -> None:
    net = randomise(build(tiny, attention_chunk=3, drop_path_rate=0.0)).eval()
    images = torch.randn(2, 3, 96, 130)
    found, wanted = (
        torch.autograd.grad(sum(map_.square().mean() for map_ in call(images)), list(net.parameters()))
        for call in (_compile(net, dynamic=False), net)
    )
    largest = max(float(gradient.abs().max()) for gradient in wanted)
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-6 * largest)


@pytest.mark.parametrize('mixed', [False, True], ids=['heads', 'talking heads'])
def test_operator_is_what_it_says_it_is(mixed: bool) -> None:
    """Shapes without values, gradients, memory that nobody shares: torch's own list of questions."""
    draw = lambda *shape: torch.randn(*shape, requires_grad=True)  # noqa: E731
    mixes = (draw(2, 2), draw(2, 2)) if mixed else (None, None)
    q, k, v = draw(2, 3, 2, 2, 4), draw(2, 5, 4, 2, 4), draw(2, 5, 4, 2, 6)
    arguments = (q, k, v, draw(2, 9, 7), *mixes, 0.5, 2, False, 3)
    torch.library.opcheck(torch.ops.effformer_dense.attend.default, arguments)
