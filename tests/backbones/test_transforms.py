"""What torch offers for modules at large: functional calls, second derivatives, copies, replicas, recorded graphs."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx

from effformer_dense.backbones.attention import DownsamplingAttention, MapAttention, TokenAttention
from effformer_dense.backbones.options import AttentionOptions
from effformer_dense.deploy import fuse
from effformer_dense.variants import Variant
from tests.helpers import build, randomise

SIZE = (64, 98)


def _net(row: Variant, **options) -> nn.Module:
    """Chunks of two queries: no gradient comes from the way that has torch's own operators only."""
    return randomise(build(row, attention_chunk=2, norm_eval=True, drop_path_rate=0.0, **options))


def _loss(features: tuple[Tensor, ...]) -> Tensor:
    return sum(feature.square().mean() for feature in features)


def _assert_equal(found: tuple[Tensor, ...], wanted: tuple[Tensor, ...], **tolerance: float) -> None:
    assert len(found) == len(wanted) > 0
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b, **tolerance)


@pytest.mark.parametrize('training', [False, True], ids=['eval', 'train'])
def test_functional_call_and_grad(tiny: Variant, training: bool) -> None:
    """torch.func has no batch statistics in training, for torch's own norm neither: hence ``norm_eval``."""
    net, images = _net(tiny).train(training), torch.randn(2, 3, *SIZE)
    parameters = dict(net.named_parameters())
    call = lambda values: _loss(torch.func.functional_call(net, values, (images,)))  # noqa: E731
    found = torch.func.grad(call)(parameters)
    wanted = torch.autograd.grad(_loss(net(images)), list(parameters.values()))
    _assert_equal(tuple(found.values()), wanted, rtol=1e-4, atol=1e-6)
    doubled = {name: 2 * value for name, value in parameters.items()}
    other = copy.deepcopy(net)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.mul_(2)
    torch.testing.assert_close(call(doubled), _loss(other(images)))


@pytest.mark.parametrize('kind', ['token', 'map', 'strided', 'downsampling'])
@pytest.mark.parametrize('chunk', [2, None])
def test_second_derivatives_of_attention(kind: str, chunk: int | None) -> None:
    norm, options = dict(type='BN'), AttentionOptions(bias_grid=3, bias_resize='bicubic', chunk=chunk)
    heads = dict(num_heads=2, key_dim=2, value_dim=3)
    make: dict[str, Callable[[], nn.Module]] = {
        'token': lambda: TokenAttention(4, options, **heads),
        'map': lambda: MapAttention(4, norm, options, **heads),
        'strided': lambda: MapAttention(4, norm, options, stride=2, **heads),
        'downsampling': lambda: DownsamplingAttention(4, 6, norm, options, **heads),
    }
    attention = randomise(make[kind]()).double().eval()
    parameters = dict(attention.named_parameters())
    x = torch.randn(1, 2, 3, 4) if kind == 'token' else torch.randn(1, 4, 2, 3)
    inputs = (x.double().requires_grad_(), *parameters.values())

    def call(x: Tensor, *values: Tensor) -> Tensor:
        return torch.func.functional_call(attention, dict(zip(parameters, values, strict=True)), (x,))

    assert torch.autograd.gradgradcheck(call, inputs, fast_mode=True)


@pytest.mark.parametrize('fused', [False, True], ids=['plain', 'fused'])
@pytest.mark.parametrize(
    'how', [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))], ids=['deepcopy', 'pickle']
)
@torch.no_grad()
def test_copies_give_the_same_and_share_nothing(tiny: Variant, how: Callable, fused: bool) -> None:
    net, images = _net(tiny).eval(), torch.randn(2, 3, *SIZE)
    net = fuse(net) if fused else net
    before = net(images)
    other = how(net)
    _assert_equal(other(images), before, rtol=0, atol=0)
    for parameter in other.parameters():
        parameter.zero_()
    _assert_equal(net(images), before, rtol=0, atol=0)


@pytest.mark.parametrize('training', [False, True], ids=['eval', 'train'])
def test_replicas_of_data_parallel(tiny: Variant, training: bool) -> None:
    """Made as ``nn.parallel.replicate`` makes them, which would ask for GPUs: parameters are no Parameters any more."""
    net, images = _net(tiny).train(training), torch.randn(2, 3, *SIZE)
    wanted = torch.autograd.grad(_loss(net(images)), list(net.parameters()))
    copies = {module: module._replicate_for_data_parallel() for module in net.modules()}
    for module, replica in copies.items():
        for name, child in module._modules.items():
            replica._modules[name] = None if child is None else copies[child]
        for name, parameter in module._parameters.items():
            setattr(replica, name, None if parameter is None else parameter.view_as(parameter))
    loss = _loss(copies[net](images))
    _assert_equal(torch.autograd.grad(loss, list(net.parameters())), wanted, rtol=1e-4, atol=1e-6)
    with torch.no_grad():
        caches = [
            module._cache for module in (net, copies[net]) for module in module.modules() if hasattr(module, '_cache')
        ]
    assert len({id(cache) for cache in caches}) == len(caches) > 0


@torch.no_grad()
def test_traced_graph_gives_the_same(tiny: Variant) -> None:
    net, images = _net(tiny).eval(), torch.randn(2, 3, *SIZE)
    graph = torch.jit.trace(net, images, check_trace=False)
    other = torch.randn_like(images)  # nothing of the first images may have stayed
    _assert_equal(graph(other), net(other), rtol=1e-4, atol=1e-4)


def test_vmap(tiny: Variant) -> None:
    net, batches = _net(tiny).eval(), torch.randn(2, 2, 3, *SIZE)
    with torch.no_grad():
        found = torch.func.vmap(net)(batches)
        for index, batch in enumerate(batches):
            _assert_equal(tuple(feature[index] for feature in found), net(batch), rtol=1e-4, atol=1e-4)


def test_gradients_per_sample(tiny: Variant) -> None:
    net, images = _net(tiny).eval(), torch.randn(2, 3, *SIZE)
    parameters = dict(net.named_parameters())
    call = lambda values, image: _loss(torch.func.functional_call(net, values, (image[None],)))  # noqa: E731
    found = torch.func.vmap(torch.func.grad(call), (None, 0))(parameters, images)
    for index, image in enumerate(images):
        wanted = torch.autograd.grad(_loss(net(image[None])), list(parameters.values()))
        _assert_equal(tuple(gradient[index] for gradient in found.values()), wanted, rtol=1e-3, atol=1e-5)


def test_make_fx_records_standard_operators(tiny: Variant) -> None:
    net, images = _net(tiny).eval().requires_grad_(False), torch.randn(2, 3, *SIZE)
    graph = make_fx(net)(torch.randn_like(images))
    _assert_equal(graph(images), net(images), rtol=1e-4, atol=1e-4)
    calls = [str(node.target) for node in graph.graph.nodes if node.op == 'call_function']
    assert calls and not [name for name in calls if not name.startswith(('aten.', '<built-in function getitem>'))]


def test_shapes_without_values(tiny: Variant) -> None:
    net, images = _net(tiny).eval(), torch.randn(2, 3, *SIZE)
    with torch.no_grad():
        wanted = [feature.shape for feature in net(images)]  # fills the cache of biases, which must not be compared
        with FakeTensorMode(allow_non_fake_inputs=True) as mode:
            assert [feature.shape for feature in net(mode.from_tensor(images))] == wanted
    assert [feature.shape for feature in net.to('meta')(images.to('meta'))] == wanted
