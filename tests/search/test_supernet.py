"""Sub-networks in the supernet are those that are extracted, to the bit; gradients stay within their slice."""

from __future__ import annotations

import random

import pytest
import torch
from mmengine.registry import MODELS

import effformer_dense
from effformer_dense.deploy import fuse
from effformer_dense.errors import UserError
from effformer_dense.rows import to_arch
from effformer_dense.search.supernet import LAYER_SCALE, TRAINED_UPDATES, Supernet
from effformer_dense.variants import V1, V2
from tests.helpers import randomise
from tests.search.spaces import SPACES

FAMILIES = [V1, V2]
SIZES = [(97, 64), (64, 131), (160, 96)]


def supernet(family: str, **options) -> Supernet:
    return randomise(Supernet(dict(type=family, **options), SPACES[family]))


def alone(net: Supernet, state):
    network = getattr(effformer_dense, state.family)(arch=to_arch(state.row), **net.options)
    assert not any(network.load_state_dict(net.extract(state), strict=True))
    return network


@pytest.mark.parametrize('family', FAMILIES)
@pytest.mark.parametrize('mode', [False, True], ids=['evaluation', 'training'])
def test_a_state_computes_what_its_network_computes_to_the_bit(family, mode) -> None:
    net = supernet(family, drop_path_rate=0.0).train(mode)
    for seed in range(20):
        state = net.space.random(random.Random(seed))
        network = alone(net, state).train(mode)
        net.state = state
        image = torch.rand(2, 3, *SIZES[seed % 3])
        found, expected = net(image), network(image)
        for own, other, width in zip(found, expected, net.out_channels, strict=True):
            assert torch.equal(own[:, : other.shape[1]], other)
            assert own.shape[1] == width and not own[:, other.shape[1] :].any()
        if mode:  # statistics were updated in place, in the supernet
            own = net.tensors(state)
            assert all(torch.equal(own[name], value) for name, value in network.state_dict().items())


@pytest.mark.parametrize('family', FAMILIES)
def test_gradients_are_those_of_the_network_and_zero_outside_the_slice(family) -> None:
    net = supernet(family, drop_path_rate=0.0).train()
    state = net.space.random(random.Random(5))
    network = alone(net, state).train()
    net.state = state
    image = torch.rand(2, 3, 64, 96)
    for model in (net, network):
        sum(x.square().sum() for x in model(image)).backward()
    views, holders = net.tensors(state), {p.data_ptr(): p for p in net.parameters()}  # views begin where tensors do
    outside = {id(p): torch.ones_like(p, dtype=torch.bool) for p in net.parameters()}
    for name, parameter in network.named_parameters():
        whole = holders[views[name].data_ptr()]
        part = tuple(slice(0, side) for side in parameter.shape)
        assert torch.equal(whole.grad[part], parameter.grad), name
        outside[id(whole)][part] = False
    assert all(p.grad is None or not p.grad[outside[id(p)]].any() for p in net.parameters())


@pytest.mark.parametrize('family', FAMILIES)
def test_fused_and_through_a_neck_it_is_the_same(family) -> None:
    pytest.importorskip('mmseg')
    from mmseg.models import FPN

    net = supernet(family).eval()
    neck = FPN(list(net.out_channels), 16, 4).eval()
    image = torch.rand(1, 3, 96, 131)
    for seed in range(3):
        state = net.space.random(random.Random(seed))
        network = alone(net, state).eval()
        net.state = state
        with torch.inference_mode():
            through = neck(net(image))
            for expected, found in zip(through, neck(net.padded(fuse(network)(image))), strict=True):
                assert (found - expected).abs().max() < 1e-4 * expected.std()
            cut = FPN(list(network.out_channels), 16, 4).eval()
            weights = {
                name: value[:, : cut.state_dict()[name].shape[1]] if value.dim() == 4 else value
                for name, value in neck.state_dict().items()
            }
            cut.load_state_dict(weights)
            for expected, found in zip(through, cut(network(image)), strict=True):
                assert (found - expected).abs().max() < 1e-5 * expected.std()


def test_what_is_extracted_is_a_copy_no_larger_than_its_row() -> None:
    net = supernet(V2)
    state = net.space.smallest
    weights = net.extract(state)
    assert all(w.untyped_storage().nbytes() == w.numel() * w.element_size() for w in weights.values())
    assert sum(w.numel() for n, w in weights.items() if 'running' not in n and 'num_b' not in n) == sum(
        p.numel() for p in alone(net, state).parameters()
    )


def test_hardly_used_norms_give_way_to_wider_ones_where_asked() -> None:
    net = supernet(V2)
    state = net.space.smallest
    name = 'stages.3.blocks.0.mlp.fc2.norm.weight'
    assert net.tensors(state)[name].shape == net.tensors(state, trained=True)[name].shape == (24,)
    wide = net.largest.stages[3].blocks[1].mlp.fc2.norm
    assert net.tensors(state, trained=True)[name].data_ptr() == wide.weight.data_ptr() and net.untrained(state)
    bank = net.get_submodule('banks.largest/stages/3/blocks/1/mlp/fc2/norm.24')
    bank.num_batches_tracked += TRAINED_UPDATES
    assert net.tensors(state, trained=True)[name].data_ptr() == bank.weight.data_ptr()


def test_it_starts_where_short_trainings_see_its_blocks_or_from_weights() -> None:
    net = MODELS.build(dict(type='Supernet', backbone=dict(type=V2), space=SPACES[V2]))
    net.init_weights()
    assert all((p == LAYER_SCALE).all() for n, p in net.named_parameters() if 'layer_scale' in n)
    init = dict(type='Constant', layer='LayerScale', val=1.0)
    net = MODELS.build(dict(type='Supernet', backbone=dict(type=V2, init_cfg=init), space=SPACES[V2]))
    net.init_weights()
    assert all((p == 1).all() for n, p in net.named_parameters() if 'layer_scale' in n)
    with pytest.raises(UserError, match='with_cp'):
        Supernet(dict(type=V2, with_cp=True), SPACES[V2])
