"""Models of timm as backbones: maps of any size, the strides that a model has not, freezing, fusing, and mistakes."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import timm
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from effformer_dense import TimmFeatures
from effformer_dense.backbones.pyramid import Resample
from effformer_dense.deploy import fuse
from effformer_dense.deploy.features import FeatureGraph, Normalise
from effformer_dense.errors import MissingFileError, UserError
from tests.deploy.deviation import EXAMPLE_SIZE, largest_deviation, picture
from tests.helpers import randomise, through_onnx

#: Small ones of each kind: a ResNet; patches (timm would cut what is left over); a plain vision transformer; windows.
RESNET, PATCHES, VIT, WINDOWS = 'test_resnet', 'test_convnext', 'test_vit', 'swin_tiny_patch4_window7_224'
#: What the papers compare with, and today's.
FAMILIES = [
    'mobilenetv2_100', 'mobilenetv4_conv_small', 'poolformer_s12', 'levit_128s', 'mobilevit_s', 'deit_tiny_patch16_224',
    'swin_tiny_patch4_window7_224', 'repvit_m0_9', 'fastvit_t8', 'efficientvit_b0', 'efficientvit_m0', 'shvit_s1',
    'starnet_s1', 'resnet18',
]  # fmt: skip


def _build(name: str, **options) -> TimmFeatures:
    if name.startswith('levit'):
        options.setdefault('img_size', (288, 352))
    return TimmFeatures(name, **options)


@pytest.mark.parametrize('name', [RESNET, PATCHES, VIT, *(pytest.param(n, marks=pytest.mark.slow) for n in FAMILIES)])
def test_maps_at_any_size_gradients_everywhere_and_equal_when_fused(name: str) -> None:
    net = randomise(_build(name))
    assert net.out_strides == (4, 8, 16, 32)
    for height, width in [(33, 47), (224, 160), (97, 131)]:
        maps = net(torch.randn(2, 3, height, width))
        expected = [
            (2, channels, -(-height // stride), -(-width // stride))
            for channels, stride in zip(net.out_channels, net.out_strides, strict=True)
        ]
        assert [tuple(map_.shape) for map_ in maps] == expected
    sum(map_.square().mean() for map_ in maps).backward()
    assert [n for n, p in net.named_parameters() if p.grad is None] == []
    fused = fuse(net.eval())
    assert not [m for m in fused.modules() if isinstance(m, _BatchNorm)]
    with torch.no_grad():
        for map_, wanted in zip(fused(torch.randn(1, 3, 97, 131)), net(torch.randn(1, 3, 97, 131)), strict=True):
            assert map_.shape == wanted.shape
        images = torch.randn(1, 3, 70, 120)
        for map_, wanted in zip(fused(images), net(images), strict=True):
            torch.testing.assert_close(map_, wanted, rtol=0, atol=1e-4 * float(wanted.std()))


@pytest.mark.parametrize('name', [RESNET, PATCHES, WINDOWS])
def test_maps_are_those_of_timm(name: str) -> None:
    net = _build(name).eval()
    reference = timm.create_model(
        name, features_only=True, **({'strict_img_size': False} if name == WINDOWS else {})
    ).eval()
    weights = {key.replace('.', '_', 1): value for key, value in net.model.state_dict().items()}
    weights |= dict(net.model.state_dict())
    own = reference.state_dict()
    assert own.keys() <= weights.keys()
    reference.load_state_dict({key: weights[key] for key in own})
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        wanted = [m.permute(0, 3, 1, 2) if name == WINDOWS else m for m in reference(images)][-4:]
        for map_, theirs in zip(net(images), wanted, strict=True):
            torch.testing.assert_close(map_, theirs)


def test_what_is_left_over_at_the_edge_counts() -> None:
    net = _build(PATCHES).eval()
    assert net.multiple_px == 32 and _build(RESNET).multiple_px == 1
    images = torch.randn(1, 3, 64, 65)
    other = images.clone()
    other[..., 64] += 10
    with torch.no_grad():
        pairs = list(zip(net(images), net(other), strict=True))
    assert all(not torch.equal(map_[..., -1], changed[..., -1]) for map_, changed in pairs)
    assert [map_.shape[3] for map_, _ in pairs] == [17, 9, 5, 3]


def test_a_vision_transformer_gets_a_pyramid() -> None:
    net = _build(VIT, out_indices=(0, 2, 3))
    assert net.out_strides == (4, 16, 32) and net.out_channels == (16, 64, 64)
    kinds = [[type(layer).__name__ for layer in resample] for resample in net.resamples]
    assert kinds == [['ConvTranspose2d', 'MapNorm', 'GELU', 'ConvTranspose2d'], [], ['MaxPool2d']]
    x = torch.randn(1, 6, 3, 5)
    assert Resample(6, 32, 8)(x).shape == (1, 1, 12, 20) and torch.equal(
        Resample(6, 8, 32)(x), F.max_pool2d(x, 4, ceil_mode=True)
    )


@pytest.mark.parametrize(
    ('name', 'frozen_stages', 'learning'),
    [
        (RESNET, -1, {'conv1', 'bn1', 'layer1', 'layer2', 'layer3', 'layer4'}),
        (RESNET, 0, {'layer1', 'layer2', 'layer3', 'layer4'}),
        (RESNET, 2, {'layer3', 'layer4'}),
        (RESNET, 4, set()),
        (VIT, 0, {'blocks.0', 'blocks.1', 'blocks.2', 'blocks.3', 'blocks.4', 'blocks.5'}),
        (VIT, 2, {'blocks.3', 'blocks.4', 'blocks.5'}),
    ],
)
def test_frozen_stages_neither_learn_nor_move(name: str, frozen_stages: int, learning: set[str]) -> None:
    net = _build(name, frozen_stages=frozen_stages).train()
    parts = {n.removeprefix('model.') for n, p in net.named_parameters() if p.requires_grad and n.startswith('model')}
    found = {'.'.join(n.split('.')[: 2 if n.startswith('blocks') else 1]) for n in parts}
    assert found == learning
    before = copy.deepcopy(net.state_dict())
    net(torch.randn(2, 3, 64, 64))
    moved = {n.split('.')[1] for n, value in net.state_dict().items() if not torch.equal(value, before[n])}
    assert moved <= learning and bool(moved) == (name == RESNET and frozen_stages < 4)


def test_norm_eval_recomputing_and_further_arguments() -> None:
    net = _build(RESNET, norm_eval=True, with_cp=True, model_args=dict(drop_path_rate=0.1)).train()
    assert net.training and not any(m.training for m in net.modules() if isinstance(m, _BatchNorm))
    sum(map_.mean() for map_ in net(torch.randn(1, 3, 64, 64))).backward()
    assert any(type(m).__name__ == 'DropPath' and m.drop_prob > 0 for m in net.modules())


def test_recomputed_layers_count_a_batch_once() -> None:
    once, twice = (_build(RESNET, with_cp=with_cp).train() for with_cp in (False, True))
    twice.load_state_dict(once.state_dict())
    images = torch.randn(2, 3, 64, 64)
    for net in (once, twice):
        sum(map_.mean() for map_ in net(images)).backward()
    assert all(torch.equal(value, twice.state_dict()[name]) for name, value in once.state_dict().items())
    for one, other in zip(once.parameters(), twice.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-3, atol=1e-5)


def test_activations_survive_conversion_to_synchronised_norms() -> None:
    """Torch's conversion, which MMEngine's ``sync_bn='torch'`` calls, knows nothing of them."""
    net = randomise(_build('test_efficientnet')).eval()
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        wanted = net(images)
        converted = nn.SyncBatchNorm.convert_sync_batchnorm(nn.ModuleDict({'backbone': net}))['backbone']
        assert any(isinstance(module, nn.SyncBatchNorm) for module in converted.modules())
        for before, after in zip(wanted, converted(images), strict=True):
            torch.testing.assert_close(before, after, rtol=1e-4, atol=1e-5)


def test_biases_kept_in_evaluation_follow_the_weights() -> None:
    one, other = (randomise(_build('levit_128s', img_size=(64, 64)), seed).eval() for seed in (0, 1))
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        one(images)
        one.load_state_dict(other.state_dict())
        for found, wanted in zip(one(images), other(images), strict=True):
            assert torch.equal(found, wanted)
        assert one.bfloat16()(images.bfloat16())[0].dtype == torch.bfloat16


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_fused_in_half_precision(dtype: torch.dtype) -> None:
    net = randomise(_build(RESNET)).eval()
    fused = fuse(net.to(dtype))
    assert {parameter.dtype for parameter in fused.parameters()} == {dtype}
    with torch.no_grad():
        for before, after in zip(
            net.float()(torch.ones(1, 3, 64, 64)), fused.float()(torch.ones(1, 3, 64, 64)), strict=True
        ):
            assert float((before - after).abs().max() / before.std()) < 0.1


@pytest.mark.parametrize('name', [RESNET, VIT, PATCHES])
def test_layers_are_all_parameters_in_order(name: str) -> None:
    net = _build(name)
    layers = net.layers()
    assert sorted(n for layer in layers for n in layer) == sorted(dict(net.named_parameters()))
    assert 4 <= len(layers) < len(list(net.parameters())) / 2
    assert any('conv1' in n or 'patch_embed' in n or 'stem' in n for n in layers[0])


@pytest.mark.slow
@pytest.mark.parametrize('name', [RESNET, PATCHES, VIT])
def test_one_file_serves_every_size(name: str, tmp_path: Path) -> None:
    """Where the model's own layers allow: this ResNet's pooling knows the size that it was recorded at alone."""
    net = randomise(_build(name)).eval()
    graph = FeatureGraph(net, Normalise((123.675, 116.28, 103.53), (58.395, 57.12, 57.375)))
    example = {'image': picture(*EXAMPLE_SIZE)}
    run = through_onnx(graph, example, graph.outputs, tmp_path / 'net.onnx', dynamic=name != RESNET)
    found = lambda image: [torch.from_numpy(map_) for map_ in run({'image': image.numpy()}).values()]  # noqa: E731
    for size in [EXAMPLE_SIZE] if name == RESNET else [(64, 96), (96, 64), (131, 177), (224, 224)]:
        assert largest_deviation(found, graph, size) < 1e-4, size


def test_pretrained_weights_are_fetched_when_training_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    source = randomise(timm.create_model(RESNET))
    net = _build(RESNET, pretrained=True)
    real = timm.create_model

    def create(name: str, pretrained: bool = False, **options) -> nn.Module:
        return source if pretrained else real(name, **options)

    monkeypatch.setattr(timm, 'create_model', create)
    net.init_weights()
    assert all(torch.equal(value, source.state_dict()[name]) for name, value in net.model.state_dict().items())


@pytest.mark.parametrize('kind', ['timm', 'safetensors', 'own', 'detector'])
def test_files_that_init_cfg_names(kind: str, tmp_path: Path) -> None:
    source = randomise(_build(RESNET))
    own = source.state_dict()
    path = tmp_path / f'weights.{"safetensors" if kind == "safetensors" else "pth"}'
    if kind == 'safetensors':
        save_file(source.model.state_dict(), path)
    else:
        detector = {
            'state_dict': {f'backbone.{name}': value for name, value in own.items()} | {'neck.x': torch.ones(1)}
        }
        torch.save({'timm': source.model.state_dict(), 'own': own, 'detector': detector}[kind], path)
    net = _build(RESNET, init_cfg=dict(type='Pretrained', checkpoint=str(path)))
    net.init_weights()
    assert all(torch.equal(value, own[name]) for name, value in net.model.state_dict(prefix='model.').items())


class _Program:
    def __reduce__(self) -> tuple:
        return Path.touch, (Path('ran'),)


def test_files_that_fit_not_and_files_that_are_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    weights = randomise(_build(RESNET)).state_dict()
    torch.save({'state_dict': weights, 'more': _Program()}, 'program.pth')
    torch.save(randomise(_build(VIT)).state_dict(), 'vit.pth')
    torch.save({name: value for name, value in weights.items() if 'conv1' not in name}, 'part.pth')
    for file, message in (
        ('program.pth', 'wants to use pathlib.Path while it is read'),
        ('vit.pth', r"These .* entries \(.*\) are no weights of timm's test_resnet: they (lack|have none)"),
        ('part.pth', 'are no weights of .*: they lack model'),
    ):
        with pytest.raises(UserError, match=message):
            _build(RESNET, init_cfg=dict(type='Pretrained', checkpoint=file)).init_weights()
    assert not Path('ran').exists()
    with pytest.raises(
        UserError, match=r"Other models of timm: backbone=dict\(type='TimmFeatures', model_name='resnet18"
    ):
        _build(RESNET, init_cfg=dict(type='Pretrained', checkpoint='timm://resnet18')).init_weights()


def test_weights_come_from_one_place() -> None:
    with pytest.raises(UserError, match=r"pretrained=True asks for timm's weights .* init_cfg for those of mine.pth"):
        _build(RESNET, pretrained=True, init_cfg=dict(type='Pretrained', checkpoint='mine.pth'))


def test_without_network_the_ways_out_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    net = _build(RESNET, pretrained=True)

    def fail(*_: object, **__: object) -> None:
        raise ConnectionError('no route')

    monkeypatch.setattr(timm, 'create_model', fail)
    with pytest.raises(
        MissingFileError, match=r'test_resnet could not be had \(ConnectionError: no route\).*--from-sc'
    ):
        net.init_weights()


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(model_name='resnet500'), r"Name of a timm model must be one of .*Did you mean 'resnet50"),
        (dict(model_name='levit_128s'), r'levit_128s does not take images of any size.*img_size=\(HEIGHT, WIDTH\)'),
        (dict(model_name='vit_small_patch14_dinov2'), 'maps of stride 14, and dense models want 4, 8, 16 and 32'),
        (dict(model_name='mixer_s32_224', img_size=(224, 224)), 'none near 4'),
        (dict(model_name=RESNET, model_args=dict(drop_paths=1)), r"does not take model_args=\{'drop_paths': 1\}"),
        (dict(model_name=RESNET, img_size=(64, 64)), 'needs no img_size'),
        (dict(model_name=RESNET, out_indices=(2, 1)), 'increasing'),
        (dict(model_name=RESNET, frozen_stages=5), 'frozen_stages'),
    ],
)
def test_mistakes_name_the_way_out(options: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        TimmFeatures(**options)


def test_images_that_it_cannot_take() -> None:
    fixed = _build('levit_128s', img_size=(96, 128))
    with torch.no_grad():
        assert [tuple(m.shape[2:]) for m in fixed.eval()(torch.randn(1, 3, 80, 128))] == [
            (20, 32), (10, 16), (5, 8), (3, 4)
        ]  # fmt: skip
    with pytest.raises(UserError, match=r'of up to 96 x 128 px; got 97 x 128'):
        fixed(torch.randn(1, 3, 97, 128))
    for shape in [(3, 64, 64), (1, 1, 64, 64), (1, 3, 31, 64)]:
        with pytest.raises(UserError, match=r'must have shape|at least 32 px'):
            _build(RESNET)(torch.randn(shape))
    with pytest.raises(UserError, match=r'For timm.s, use torch.autocast'):
        fuse(_build(RESNET), 'bf16')
