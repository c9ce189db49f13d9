"""Backbone weights of every layout inside whole detectors and segmentors, through MMEngine's own entry points."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS
from mmengine.runner import load_checkpoint
from safetensors.torch import save_file
from torch import Tensor, nn

from effformer_dense.checkpoint import Layout, convert, from_native, safe_loaders
from effformer_dense.checkpoint.whole_model import load_weights
from effformer_dense.variants import V1_VARIANTS, V2_VARIANTS, Variant
from tests.golden import weights
from tests.helpers import GOLDEN, PROJECT_ROOT, build, randomise

pytest.importorskip('mmdet')
pytest.importorskip('mmseg')

CONFIGS = {'detector': 'maskrcnn_{}_coco.py', 'segmentor': 'semfpn_{}_ade20k.py'}
WHOLE = pytest.mark.parametrize('kind', list(CONFIGS))


def _config(kind: str, name: str, **backbone: object) -> Config:
    cfg = Config.fromfile(PROJECT_ROOT / 'configs' / CONFIGS[kind].format(name))
    cfg.model.backbone.update(dict(norm_cfg=dict(type='BN'), init_cfg=None, **backbone))
    if kind == 'segmentor':
        cfg.model.decode_head.norm_cfg = dict(type='BN')
    return cfg


def _model(cfg: Config) -> nn.Module:
    from effformer_dense.config.load import enter_scope

    enter_scope(cfg)
    return MODELS.build(cfg.model).eval()


def _whole_state(model: nn.Module, backbone: dict[str, Tensor]) -> dict[str, Tensor]:
    """State dict of a model whose backbone entries are in another layout."""
    rest = {key: value for key, value in model.state_dict().items() if not key.startswith('backbone.')}
    return {f'backbone.{key}': value for key, value in backbone.items()} | rest


@pytest.mark.slow
@WHOLE
@pytest.mark.parametrize('case', ['v1_l1', 'v2_s0'])
def test_published_dense_checkpoint_in_a_whole_model(
    kind: str, case: str, golden_state: Callable[[str], dict], tmp_path: Path
) -> None:
    """As mmdet 2 and mmseg 0 saved them; features are those that the published code gives."""
    model = _model(_config(kind, case, bias_grid=25, bias_resize='matrix', talking_bias='sum'))
    path = tmp_path / 'published.pth'
    backbone = golden_state(f'official_coco_{case}')
    torch.save({'meta': {'epoch': 12}, 'state_dict': _whole_state(model, backbone), 'optimizer': {}}, path)
    load_checkpoint(model, str(path), map_location='cpu', strict=True)
    stages = json.loads((GOLDEN / 'features' / f'official_coco_{case}.json').read_text())['224x224']
    with torch.no_grad():
        features = model.backbone(torch.from_numpy(weights.image(224, 224)))
    for feature, stage in zip(features, stages, strict=True):
        assert np.abs(weights.samples(feature.numpy()) - np.array(stage['samples'])).max() < 1e-4 * stage['std'] + 1e-6


@pytest.mark.slow
@WHOLE
@pytest.mark.parametrize('layout', [Layout.TIMM, Layout.OFFICIAL])
def test_every_variant_in_a_whole_model(kind: str, layout: Layout, efficientformer: Variant) -> None:
    net = randomise(build(efficientformer, out_norm=False))
    model = _model(_config(kind, efficientformer.key, out_norm=False))
    foreign = from_native(net.state_dict(), efficientformer, layout)
    model.load_state_dict(_whole_state(model, foreign), strict=True)
    for (key, value), loaded in zip(net.state_dict().items(), model.backbone.state_dict().values(), strict=True):
        assert torch.equal(value, loaded), key


@pytest.mark.slow
@pytest.mark.parametrize('source', ['mmpretrain_v1_l1', 'huggingface_v1_l1'])
def test_layouts_of_others_in_a_whole_model(source: str, golden_state: Callable[[str], dict]) -> None:
    state = golden_state(source)
    own = {key.removeprefix('backbone.').removeprefix('efficientformer.'): value for key, value in state.items()}
    own = {key: value for key, value in own.items() if 'classifier' not in key}
    model = _model(_config('detector', 'v1_l1', out_norm=False))
    model.load_state_dict(_whole_state(model, own), strict=True)
    expected = build(V1_VARIANTS['l1'], out_norm=False)
    expected.load_state_dict(state)
    assert all(
        torch.equal(a, b)
        for a, b in zip(expected.state_dict().values(), model.backbone.state_dict().values(), strict=True)
    )


@pytest.mark.slow
@pytest.mark.parametrize('suffix', ['.pth', '.safetensors'])
def test_init_detector_and_load_from_take_the_file_as_it_is(suffix: str, tmp_path: Path) -> None:
    from mmdet.apis import init_detector

    cfg = _config('detector', 'v2_s0')
    model = _model(cfg)
    backbone = randomise(build(V2_VARIANTS['s0'])).state_dict()
    state = _whole_state(model, from_native(backbone, V2_VARIANTS['s0'], Layout.OFFICIAL))
    path = tmp_path / f'whole{suffix}'
    if suffix == '.pth':
        torch.save({'state_dict': state, 'meta': {'dataset_meta': {'classes': ('a',)}}}, path)
        detector = init_detector(cfg, str(path), device='cpu', palette='random')
        assert torch.equal(detector.backbone.stem.conv1.conv.weight, backbone['stem.conv1.conv.weight'])
    else:
        save_file({key: value.contiguous() for key, value in state.items()}, path)
    with safe_loaders():
        load_checkpoint(model, str(path), map_location='cpu', strict=True)
    assert torch.equal(model.backbone.stem.conv1.conv.weight, backbone['stem.conv1.conv.weight'])


@WHOLE
@pytest.mark.parametrize('layout', [Layout.NATIVE, Layout.OFFICIAL])
def test_a_head_for_other_classes_is_named_with_both_shapes(kind: str, layout: Layout, tmp_path: Path) -> None:
    """And the backbone, in whichever layout, is not: it fits."""
    cfg = _config(kind, 'v2_s0')
    trained = _model(cfg)
    variant = V2_VARIANTS['s0']
    state = _whole_state(trained, from_native(trained.backbone.state_dict(), variant, layout))
    torch.save({'state_dict': state}, tmp_path / 'trained.pth')
    head = cfg.model.decode_head if kind == 'segmentor' else cfg.model.roi_head.mask_head
    name, width = ('decode_head.conv_seg', 128) if kind == 'segmentor' else ('roi_head.mask_head.conv_logits', 256)
    old, head.num_classes = head.num_classes, 7
    with pytest.raises(ValueError, match='does not fit the config') as refusal:
        load_weights(_model(cfg), tmp_path / 'trained.pth')
    matched = len(trained.state_dict()) - 2
    assert str(refusal.value).endswith(
        f'config: {matched} entries matched; 2 of another shape ('
        f'{name}.weight ({old}, {width}, 1, 1), not (7, {width}, 1, 1), {name}.bias ({old},), not (7,)). '
        'Use the config it was trained with.'
    )


def test_weights_of_a_backbone_do_not_pass_as_those_of_a_detector(tmp_path: Path) -> None:
    """load_from with ImageNet weights would leave the whole detector at random, with a warning among others."""
    import timm

    from effformer_dense.checkpoint.whole_model import check_start

    path = tmp_path / 'imagenet.pth'
    state = timm.create_model('efficientformerv2_s0').state_dict()
    for prefix, place in (('', 'at the top'), ('net.', r"under 'net\.'")):
        torch.save(_prefixed(state, prefix), path)
        with pytest.raises(ValueError, match=rf'a backbone {place}.*model\.backbone\.init_cfg\.checkpoint='):
            check_start(path)
    torch.save(_prefixed(state, 'module.backbone.'), path)
    check_start(path)


class _Renamed(nn.Module):
    """As mmdet's anchor-free heads: layouts of old versions have another name."""

    _version = 1

    def __init__(self) -> None:
        super().__init__()
        self.cls = nn.Linear(2, 2)

    def _load_from_state_dict(self, state_dict, prefix, local_metadata, *args) -> None:
        if local_metadata.get('version') is None:
            for key in [key for key in state_dict if key.startswith(f'{prefix}cls')]:
                state_dict[key.replace('cls', 'conv_cls')] = state_dict.pop(key)
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *args)


@pytest.mark.parametrize('prefix', ['', 'module.'])
def test_versions_of_modules_are_read(prefix: str, tmp_path: Path) -> None:
    model = nn.Sequential(_Renamed(), nn.BatchNorm1d(2))
    saved = nn.ModuleDict({'module': model}) if prefix else model
    torch.save({'state_dict': saved.state_dict()}, tmp_path / 'new.pth')
    load_weights(nn.Sequential(_Renamed(), nn.BatchNorm1d(2)), tmp_path / 'new.pth')
    state = model.state_dict()
    del state['1.num_batches_tracked']
    torch.save({'state_dict': state}, tmp_path / 'no_counters.pth')
    load_weights(nn.Sequential(_Renamed(), nn.BatchNorm1d(2)), tmp_path / 'no_counters.pth')


def _prefixed(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {prefix + key: value for key, value in state.items()}


@pytest.mark.slow
def test_a_backbone_alone_takes_its_part_of_a_detector() -> None:
    model = _model(_config('detector', 'v2_s0'))
    net = build(V2_VARIANTS['s0'])
    net.load_state_dict(model.state_dict(), strict=True)
    assert torch.equal(net.stem.conv1.conv.weight, model.backbone.stem.conv1.conv.weight)


def test_a_detector_stays_whole_in_our_layout_and_leaves_the_rest_to_timm() -> None:
    net = randomise(build(V2_VARIANTS['s0']))
    head = {'neck.conv.weight': torch.ones(3), 'ema_backbone_stem_conv1_conv_weight': torch.ones(1)}
    state = {f'backbone.{key}': value for key, value in net.state_dict().items()} | head
    ours = convert({'state_dict': state}, Layout.NATIVE)
    assert list(ours.weights) == [f'backbone.{key}' for key in net.state_dict()] + ['neck.conv.weight']
    assert list(ours.left_out.values()) == ['an average of the weights']
    timm_file = convert({'state_dict': state}, Layout.TIMM)
    assert timm_file.left_out['neck.conv.weight'] == 'outside the backbone: neck'
    assert 'neck.conv.weight' not in timm_file.weights


LEGACY = sorted((PROJECT_ROOT / 'configs' / 'legacy').glob('*.py'))


@pytest.mark.slow
@pytest.mark.parametrize('path', LEGACY, ids=lambda path: path.stem)
def test_legacy_configs_take_the_tables_of_their_checkpoints(path: Path) -> None:
    cfg = Config.fromfile(path)
    grid = 25 if path.stem.endswith('coco') else 16
    backbone = cfg.model.backbone
    assert (backbone.bias_grid, backbone.bias_resize, backbone.talking_bias) == (grid, 'matrix', 'sum')
    assert cfg.model.backbone.init_cfg is None
    cfg.model.backbone.norm_cfg = dict(type='BN')
    backbone = MODELS.build(cfg.model.backbone)
    tables = [module.table for module in backbone.modules() if hasattr(module, 'table')]
    assert {table.shape[-1] for table in tables} <= {grid, 2 * grid}
    if not path.stem.endswith('coco'):
        pipelines = [cfg[f'{split}_dataloader'].dataset.pipeline for split in ('test', 'val')]
        assert [pipeline[2].size_divisor for pipeline in pipelines] == [32, 1]


def test_there_is_a_legacy_config_for_every_published_score() -> None:
    names = {path.stem.split('_', 1)[1] for path in LEGACY}
    rows = ['v1_l1', 'v1_l3', 'v1_l7', 'v2_s2', 'v2_l']
    assert names == {f'{row}_{data}' for row in rows for data in ('coco', 'ade20k')}
