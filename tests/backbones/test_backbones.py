"""Every variant: shapes, parameters, gradients, options."""

from __future__ import annotations

import copy

import pytest
import torch
from mmengine.registry import MODELS
from torch import nn

from effformer_dense import EfficientFormerV1, EfficientFormerV2
from effformer_dense.backbones.base import DenseBackbone
from effformer_dense.backbones.layers import DropPath
from effformer_dense.variants import ALL_VARIANTS, V1, Variant
from tests.helpers import SIZES, build, randomise

PARAMETERS = {
    's0': 3_245_904,
    's1': 5_735_112,
    's2': 12_131_536,
    'l': 25_551_520,
    'l1': 11_391_032,
    'l3': 30_378_976,
    'l7': 80_689_792,
    'xxs': 3_778_128,
    'xs': 6_384_288,
    's': 12_722_400,
}


def test_parameter_count_without_output_norms(variant: Variant) -> None:
    net = build(variant, out_norm=False)
    assert sum(p.numel() for p in net.parameters()) == PARAMETERS[variant.arch]


def test_shapes_channels_and_strides_are_as_declared(variant: Variant) -> None:
    net = build(variant).eval()
    assert net.out_strides == (4, 8, 16, 32)
    assert net.out_channels == variant.widths
    for height, width in SIZES:
        with torch.no_grad():
            features = net(torch.rand(1, 3, height, width))
        expected = [
            (1, channels, -(-height // stride), -(-width // stride))
            for channels, stride in zip(net.out_channels, net.out_strides, strict=True)
        ]
        assert [tuple(f.shape) for f in features] == expected
        assert all(torch.isfinite(f).all() for f in features)


def test_every_parameter_receives_a_gradient(variant: Variant) -> None:
    net = randomise(build(variant, drop_path_rate=0.0)).train()
    sum(f.square().mean() for f in net(torch.randn(2, 3, 72, 104))).backward()
    silent = [name for name, p in net.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert silent == []


def test_evaluation_is_deterministic(variant: Variant) -> None:
    net = randomise(build(variant, drop_path_rate=0.2)).eval()
    images = torch.randn(1, 3, 96, 160)
    with torch.no_grad():
        first, second = net(images), net(images)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_registered_in_the_root_registry(variant: Variant) -> None:
    net = MODELS.build(dict(type=variant.family, arch=variant.arch))
    assert isinstance(net, DenseBackbone)


def test_output_norm_defaults_follow_the_published_dense_models() -> None:
    assert len(EfficientFormerV1('l1').out_norms) == 4
    assert len(EfficientFormerV2('s0').out_norms) == 0


@pytest.mark.parametrize('indices', [(0,), (1, 3), (2,)])
def test_out_indices_select_stages_and_leave_no_idle_parameter(tiny: Variant, indices: tuple[int, ...]) -> None:
    net = randomise(build(tiny, out_indices=indices, drop_path_rate=0.0))
    full = build(tiny, drop_path_rate=0.0)
    full.load_state_dict(net.state_dict(), strict=False)
    net.eval(), full.eval()
    images = torch.randn(1, 3, 64, 96)
    chosen, everything = net(images), full(images)
    assert net.out_strides == tuple((4, 8, 16, 32)[i] for i in indices)
    assert all(torch.equal(a, everything[i]) for a, i in zip(chosen, indices, strict=True))
    sum(f.square().mean() for f in chosen).backward()
    assert [n for n, p in net.named_parameters() if p.requires_grad and p.grad is None] == []


@pytest.mark.parametrize('frozen_stages', [-1, 0, 2, 4])
def test_frozen_stages_neither_learn_nor_move(tiny: Variant, frozen_stages: int) -> None:
    net = build(tiny, frozen_stages=frozen_stages, drop_path_rate=0.5).train()
    before = copy.deepcopy(net.state_dict())
    optimizer = torch.optim.SGD([p for p in net.parameters() if p.requires_grad] or [nn.Parameter(torch.ones(1))], 1.0)
    loss = sum(f.square().mean() for f in net(torch.randn(2, 3, 64, 64)))
    if loss.requires_grad:
        loss.backward()
    optimizer.step()
    prefixes = tuple(f'{p}.' for p in ['stem', 'stages.0', 'stages.1', 'stages.2', 'stages.3'][: frozen_stages + 1])
    for name, value in net.state_dict().items():
        if name.startswith(prefixes):
            assert torch.equal(value, before[name]), name
    running = [n for n in before if n.endswith('running_mean') and not n.startswith(prefixes)]
    assert all(not torch.equal(net.state_dict()[n], before[n]) for n in running)
    assert bool(running) == (frozen_stages < 4)
    moved = [n for n, p in net.named_parameters() if p.requires_grad and not torch.equal(p, before[n])]
    assert bool(moved) == (frozen_stages < 4 or tiny.family == V1), 'the output norms of V1 always learn'


def test_norm_eval_keeps_statistics(tiny: Variant) -> None:
    net = build(tiny, norm_eval=True).train()
    before = copy.deepcopy(net.state_dict())
    net(torch.randn(2, 3, 64, 64))
    assert all(torch.equal(v, before[n]) for n, v in net.state_dict().items() if 'running_' in n)
    assert net.training


def test_checkpointing_changes_nothing_but_memory(tiny: Variant) -> None:
    plain = randomise(build(tiny, drop_path_rate=0.3)).train()
    thrifty = build(tiny, drop_path_rate=0.3, with_cp=True).train()
    thrifty.load_state_dict(plain.state_dict())
    images = torch.randn(2, 3, 64, 96)
    calls = {plain: 0, thrifty: 0}
    for net in calls:
        net.stages[3].blocks[-1].mlp.register_forward_hook(lambda *_, net=net: calls.update({net: calls[net] + 1}))
    for net in (plain, thrifty):
        torch.manual_seed(1)
        sum(f.square().mean() for f in net(images)).backward()
    assert (calls[plain], calls[thrifty]) == (1, 2), 'recomputed once'
    for (name, p), q in zip(plain.named_parameters(), thrifty.parameters(), strict=True):
        torch.testing.assert_close(p.grad, q.grad, msg=name)
    # Recomputation must not count a batch into the running statistics twice.
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(thrifty.state_dict()[name], value, msg=name)


@pytest.mark.parametrize('kind', ['BN', 'SyncBN', 'GN'])
def test_norm_cfg_reaches_every_convolution(tiny: Variant, kind: str) -> None:
    options = dict(num_groups=1) if kind == 'GN' else {}
    net = build(tiny, norm_cfg=dict(type=kind, eps=1e-3, **options), out_norm=False)
    layer = {'BN': nn.BatchNorm2d, 'SyncBN': nn.SyncBatchNorm, 'GN': nn.GroupNorm}[kind]
    norms = [m for m in net.modules() if isinstance(m, (nn.BatchNorm2d, nn.SyncBatchNorm, nn.GroupNorm))]
    bare = ('.talking_head1', '.talking_head2', '.q.local')
    convolutions = [n for n, m in net.named_modules() if isinstance(m, nn.Conv2d) and not n.endswith(bare)]
    assert len(norms) == len(convolutions) > 10
    assert all(type(m) is layer and m.eps == 1e-3 for m in norms)
    assert net.eval()(torch.rand(1, 3, 64, 64))[3].shape[2:] == (2, 2)


def test_norm_cfg_can_freeze_the_affine_parameters(tiny: Variant) -> None:
    net = build(tiny, norm_cfg=dict(type='BN', requires_grad=False))
    frozen = {n for n, p in net.named_parameters() if not p.requires_grad}
    norms = {f'{n}.{p}' for n, m in net.named_modules() if isinstance(m, nn.BatchNorm2d) for p in ('weight', 'bias')}
    assert frozen == norms


def test_drop_path_rates_rise_to_the_given_one(variant: Variant) -> None:
    net = build(variant, drop_path_rate=0.2)
    rates = _drop_path_rates(net)
    assert rates[0] == 0 and rates[-1] == pytest.approx(0.2)
    assert rates == sorted(rates) and len(set(rates)) == sum(variant.depths)
    own = _drop_path_rates(build(variant))
    assert own[-1] == pytest.approx(variant.drop_path_rate)


def _drop_path_rates(net: nn.Module) -> list[float]:
    return [module.rate for module in net.stages.modules() if isinstance(module, DropPath)]


def test_drop_path_drops_whole_samples_and_keeps_the_mean() -> None:
    drop = DropPath(0.25).train()
    out = drop(torch.ones(4000, 2, 1, 1))
    torch.testing.assert_close(out.unique(), torch.tensor([0.0, 1 / 0.75]))
    assert torch.equal(out[:, 0], out[:, 1])
    assert float(out.mean()) == pytest.approx(1.0, abs=0.05)
    assert torch.equal(drop.eval()(out), out)


def test_cache_is_used_bounded_and_not_saved(tiny: Variant) -> None:
    net = build(tiny).eval()
    bias = next(m for n, m in net.named_modules() if n.endswith('token_mixer.bias'))
    keys = set(net.state_dict())
    with torch.no_grad():
        assert bias(5, 6) is bias(5, 6)
        for width in range(7, 20):
            bias(5, width)
    assert len(bias._cache) <= 4
    assert set(net.state_dict()) == keys
    assert bias(5, 6).values.requires_grad, 'with gradients on, nothing may come from the cache'


def test_train_and_eval_return_self(tiny: Variant) -> None:
    net = build(tiny)
    assert net.train() is net and net.eval() is net


def test_arguments_are_not_modified(tiny: Variant) -> None:
    norm_cfg = dict(type='BN', requires_grad=True)
    build(tiny, norm_cfg=norm_cfg)
    assert norm_cfg == dict(type='BN', requires_grad=True)


def test_constant_init_of_layer_scale(tiny: Variant) -> None:
    net = build(tiny, init_cfg=dict(type='Constant', layer='LayerScale', val=0.1))
    net.init_weights()
    scales = [p for n, p in net.named_parameters() if 'layer_scale' in n]
    assert scales and all((p == 0.1).all() for p in scales)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(arch='s9'), 'arch must be one of s0, s1, s2, l; got .s9.'),
        (dict(arch='s0', bias_resize='nearest'), 'bicubic, bilinear, clamp, geometric, log, zero, matrix'),
        (dict(arch='s0', attention_scale='log_token'), "None, log_tokens; got 'log_token'. Did you mean 'log_tokens'"),
        (dict(arch='s0', attention_scale='log_tokens', bias_grid=1), 'set bias_grid to the grid of the training'),
        (dict(arch='s0', talking_bias='average'), "sum, mean; got 'average'"),
        (dict(arch='s0', bias_grid=0), 'bias_grid must be a positive'),
        (dict(arch='s0', out_indices=(3, 1)), 'increasing'),
        (dict(arch='s0', out_indices=()), 'increasing'),
        (dict(arch='s0', out_indices=(0, 4)), 'from 0 to 3'),
        (dict(arch='s0', frozen_stages=5), 'frozen_stages'),
        (dict(arch='s0', drop_path_rate=1.0), 'drop_path_rate'),
        (dict(arch='s0', attention_chunk=0), 'attention_chunk must be a positive'),
        (dict(arch='s0', norm_cfg=dict(type='Batch')), 'BN, SyncBN, GN'),
    ],
)
def test_wrong_values_name_themselves_and_the_choices(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        EfficientFormerV2(**options)


def test_misspelt_argument_is_an_error() -> None:
    with pytest.raises(TypeError, match='bias_grit'):
        EfficientFormerV2('s0', bias_grit=7)


@pytest.mark.parametrize('shape', [(3, 64, 64), (1, 1, 64, 64), (1, 3, 31, 64), (1, 3, 64, 16)])
def test_wrong_images_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r'images must have shape|at least 32 px'):
        EfficientFormerV2('s0')(torch.rand(*shape))


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
def test_values_that_are_not_finite_are_refused(value: float) -> None:
    images = torch.rand(1, 3, 64, 64)
    images[0, 1, 5, 5] = value
    with pytest.raises(ValueError, match='1 values that are NaN or infinite'):
        EfficientFormerV2('s0')(images)


def test_every_variant_has_one_row() -> None:
    assert [row.arch for row in ALL_VARIANTS] == [
        'l1', 'l3', 'l7', 's0', 's1', 's2', 'l', 'xxs', 'xs', 's',
    ]  # fmt: skip
    assert len({row.key for row in ALL_VARIANTS}) == len(ALL_VARIANTS)
