"""Configs: all of them load and build; overrides and mistakes in them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope

from effformer_dense.config import home
from effformer_dense.config.load import load_config
from effformer_dense.config.nodes import walk
from effformer_dense.engine.open import open_config
from effformer_dense.options import ConfigOptions
from effformer_dense.preflight.arguments import check_arguments
from effformer_dense.variants import V1, Variant
from tests.helpers import PROJECT_ROOT, assert_widths_fit, build, variant_id

CONFIGS = PROJECT_ROOT / 'configs'
DEMO = CONFIGS / 'maskrcnn_v2_s0_shapes.py'


def test_each_variant_has_a_coco_config_with_its_recipe(efficientformer: Variant) -> None:
    path = CONFIGS / f'maskrcnn_{efficientformer.key}_coco.py'
    cfg = load_config(ConfigOptions(path))
    backbone, reference = cfg.model.backbone, build(efficientformer)
    assert (backbone.type, backbone.arch) == (efficientformer.family, efficientformer.arch)
    assert tuple(cfg.model.neck.in_channels) == reference.out_channels
    assert backbone.init_cfg.checkpoint == f'timm://{efficientformer.timm_name}'
    assert backbone.drop_path_rate is None
    assert (cfg.optim_wrapper.optimizer.lr, cfg.optim_wrapper.clip_grad) == (2e-4, None)
    assert cfg.optim_wrapper.optimizer.weight_decay == (1e-4 if efficientformer.family == V1 else 0.05)
    assert cfg.train_cfg.max_epochs == 12 and cfg.param_scheduler[1].milestones == [8, 11]
    assert cfg.param_scheduler[0].end == 500
    assert cfg.auto_scale_lr.base_batch_size == 16 and cfg.train_dataloader.batch_size == 2


@pytest.mark.parametrize('path', sorted([*CONFIGS.glob('*.py'), *CONFIGS.glob('heads/*.py')]), ids=lambda p: p.stem)
def test_every_config_opens_with_its_command_and_builds(path: Path) -> None:
    text = path.read_text()
    assert text.startswith('"""') and f'tools/train.py {path.relative_to(PROJECT_ROOT)}' in text.split('"""')[1]
    cfg = load_config(ConfigOptions(path, from_scratch=True))
    init_default_scope(cfg.default_scope)
    check_arguments(cfg)
    with torch.device('meta'):
        backbone = MODELS.build(cfg.model).backbone
    assert f'_{variant_id(backbone.variant)}_' in path.name
    assert_widths_fit(cfg.model, backbone)


@pytest.mark.parametrize('family', ['maskrcnn_v2_l_coco', 'semfpn_v2_l_ade20k'])
def test_bases_of_a_config_have_disjoint_top_level_keys(family: str) -> None:
    bases = re.findall(r"'(_base_/\w+\.py)'", (CONFIGS / f'{family}.py').read_text())
    assert len(bases) == 4
    seen: dict[str, str] = {}
    for base in bases:
        for key in Config.fromfile(CONFIGS / base):
            assert key not in seen, f'{key} in {base} and {seen[key]}'
            seen[key] = base


def test_each_variant_has_an_ade20k_config_with_its_recipe(efficientformer: Variant) -> None:
    path = CONFIGS / f'semfpn_{efficientformer.key}_ade20k.py'
    cfg = load_config(ConfigOptions(path))
    backbone, reference = cfg.model.backbone, build(efficientformer)
    assert (backbone.type, backbone.arch) == (efficientformer.family, efficientformer.arch)
    assert tuple(cfg.model.neck.in_channels) == reference.out_channels
    assert backbone.init_cfg.checkpoint == f'timm://{efficientformer.timm_name}'
    assert cfg.optim_wrapper.optimizer == dict(type='AdamW', lr=2e-4, weight_decay=1e-4)
    assert cfg.optim_wrapper.clip_grad is None
    (poly,) = cfg.param_scheduler
    assert (poly.type, poly.power, poly.begin, poly.end, poly.by_epoch) == ('PolyLR', 0.9, 0, 40000, False)
    assert poly.eta_min == (0.0 if efficientformer.family == V1 else 1e-6)
    assert cfg.train_cfg.max_iters == 40000
    assert cfg.auto_scale_lr.base_batch_size == 32 and cfg.train_dataloader.batch_size == 4
    assert cfg.model.decode_head.num_classes == 150 and cfg.model.test_cfg.mode == 'whole'
    steps = {step.type: step for step in cfg.train_dataloader.dataset.pipeline}
    assert (steps['RandomResize'].scale, steps['RandomResize'].ratio_range) == ((2048, 512), (0.5, 2.0))
    assert steps['RandomCrop'].crop_size == (512, 512) and 'PhotoMetricDistortion' in steps


def test_from_scratch_drops_every_pretrained_start() -> None:
    cfg = load_config(ConfigOptions(CONFIGS / 'maskrcnn_v2_l_coco.py', from_scratch=True))
    assert [n for _, n in walk(cfg.model) if (n.get('init_cfg') or {}).get('type') == 'Pretrained'] == []
    demo = load_config(ConfigOptions(DEMO, from_scratch=True))
    assert demo.model.backbone.init_cfg.type == 'Constant', 'other initialisation stays'


def test_data_root_moves_every_data_path(tmp_path: Path) -> None:
    cfg = load_config(ConfigOptions(CONFIGS / 'maskrcnn_v2_s0_coco.py', data_root=tmp_path))
    for split in ('train', 'val', 'test'):
        assert cfg[f'{split}_dataloader'].dataset.data_root == str(tmp_path)
    assert cfg.val_evaluator.ann_file == str(tmp_path / 'annotations' / 'instances_val2017.json')
    assert cfg.test_evaluator.ann_file == cfg.val_evaluator.ann_file
    assert cfg.train_dataloader.dataset.ann_file == 'annotations/instances_train2017.json'


def test_relative_data_root_is_found_from_any_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the checkout if it is there and not here; one that is nowhere, of generated data, comes to lie here."""
    checkout, here = tmp_path / 'checkout', tmp_path / 'here'
    here.mkdir()
    monkeypatch.setattr(home, 'CHECKOUT', checkout)
    monkeypatch.chdir(here)
    for made, expected in ((None, here), (checkout, checkout), (here, here)):
        if made is not None:
            (made / 'data' / 'shapes').mkdir(parents=True)
        cfg = load_config(ConfigOptions(DEMO))
        assert Path(cfg.train_dataloader.dataset.data_root) == expected / 'data' / 'shapes'


def test_overrides_change_values_lists_and_new_arguments() -> None:
    overrides = ['model.backbone.with_cp=True', 'model.neck.in_channels=[1,2,3,4]', 'train_dataloader.batch_size=3']
    cfg = load_config(
        ConfigOptions(DEMO, cfg_options=[*overrides, 'val_dataloader.dataset.pipeline.0.imdecode_backend=pillow'])
    )
    assert cfg.model.backbone.with_cp is True
    assert cfg.model.neck.in_channels == [1, 2, 3, 4]
    assert cfg.train_dataloader.batch_size == 3
    assert cfg.val_dataloader.dataset.pipeline[0].imdecode_backend == 'pillow'


@pytest.mark.parametrize('clip', ['clip_grad=None', 'clip_grad=dict(max_norm=3)', ''])
def test_gradients_are_clipped_also_where_the_config_has_no_word_of_it(tmp_path: Path, clip: str) -> None:
    path = tmp_path / 'config.py'
    path.write_text(f"optim_wrapper = dict(optimizer=dict(type='SGD'), {clip})")
    cfg = load_config(ConfigOptions(path, cfg_options=['optim_wrapper.clip_grad.max_norm=5']))
    assert cfg.optim_wrapper.clip_grad == dict(max_norm=5)
    path.write_text(f'optim_wrapper = dict(head=dict(optimizer=dict(), {clip}))')
    cfg = load_config(ConfigOptions(path, cfg_options=['optim_wrapper.head.clip_grad.max_norm=5']))
    assert cfg.optim_wrapper.head.clip_grad == dict(max_norm=5)
    with pytest.raises(ValueError, match="'heed'"):
        load_config(ConfigOptions(path, cfg_options=['optim_wrapper.heed.clip_grad.max_norm=5']))


@pytest.mark.parametrize(
    ('override', 'message'),
    [
        ('model.backbon.arch=s1', "'backbon'.*Did you mean 'backbone'"),
        ('train_dataloder.batch_size=2', "'train_dataloder'.*Did you mean 'train_dataloader'"),
        ('modle=1', "'modle'.*Did you mean 'model'"),
        ('train_dataloader.dataset.pipeline.9.type=X', "'9'"),
        ('data_root=elsewhere', 'data_root is a variable of the config file'),
        ('train_pipeline.0.type=X', 'train_pipeline is a variable of the config file'),
        ('max_epochs=1', 'max_epochs is a variable of the config file'),
        ('optim_wrapper.clip_grad.max_norm.deeper=1', 'deeper|max_norm'),
        ('model.backbone', 'takes KEY=VALUE'),
        ('model.neck.in_channels=[36,72', 'model.neck.in_channels=\\[36,72: .*Write a list without spaces'),
    ],
)
def test_misspelt_overrides_are_refused(override: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_config(ConfigOptions(DEMO, cfg_options=[override]))


def test_misspelt_top_level_key_is_refused_and_variables_are_not(tmp_path: Path) -> None:
    path = tmp_path / 'config.py'
    path.write_text(f'_base_ = {str(DEMO)!r}\nnum_things = 3\nmy_pipeline = []\n')
    load_config(ConfigOptions(path))
    path.write_text(f'_base_ = {str(DEMO)!r}\nval_evaluater = dict()\n')
    with pytest.raises(ValueError, match=r"'val_evaluater' is read by nothing. Did you mean 'val_evaluator'"):
        load_config(ConfigOptions(path))


def test_misspelt_component_argument_is_refused() -> None:
    for override, message in [
        ('model.backbone.bias_grit=9', "Argument of EfficientFormerV2.*'bias_grit'.*Did you mean 'bias_grid'"),
        ('model.roi_head.bbox_head.fc_out_chanels=9', "'fc_out_chanels'.*Did you mean 'fc_out_channels'"),
        ('train_dataloader.dataset.pipeline.0.to_flot32=True', "'to_flot32'.*Did you mean 'to_float32'"),
        ('train_dataloader.batch_sise=2', "train_dataloader must.*'batch_sise'.*Did you mean 'batch_size'"),
        ('train_cfg.max_epoch=3', "'max_epoch'.*Did you mean 'max_epochs'"),
        ('optim_wrapper.optimizer.weight_decya=0', "'weight_decya'.*Did you mean 'weight_decay'"),
        ('default_hooks.logger.intervall=5', "'intervall'.*Did you mean 'interval'"),
        ('randomness.sed=5', "'sed'.*Did you mean 'seed'"),
        ('model.backbone.type=EfficientFormer2', "'EfficientFormer2' is registered nowhere. Did you mean"),
        ('val_evaluator.metrics=bbox', "Argument of CocoMetric.*'metrics'.*Did you mean 'metric'"),
    ]:
        cfg = load_config(ConfigOptions(DEMO, cfg_options=[override]))
        init_default_scope(cfg.default_scope)
        with pytest.raises(ValueError, match=message):
            check_arguments(cfg)


def test_missing_and_broken_configs_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r'maskrcnn_v2_s0_shape.py does not exist. Close to it: .*_s0_shapes.py'):
        load_config(ConfigOptions(CONFIGS / 'maskrcnn_v2_s0_shape.py'))
    broken = tmp_path / 'broken.py'
    broken.write_text('model = dict(')
    with pytest.raises(ValueError, match=r'broken.py cannot be read: SyntaxError'):
        load_config(ConfigOptions(broken))


def test_one_process_trades_sync_batch_norm_for_batch_norm(monkeypatch: pytest.MonkeyPatch) -> None:
    overrides = ['model.backbone.norm_cfg.type=SyncBN']
    path = CONFIGS / 'maskrcnn_v2_l_coco.py'
    assert load_config(ConfigOptions(path, cfg_options=overrides)).model.backbone.norm_cfg.type == 'BN'
    monkeypatch.setattr('torch.cuda.is_available', lambda: True)
    monkeypatch.setattr('torch.cuda.device_count', lambda: 1)
    with pytest.raises(ValueError, match='torchrun'):
        load_config(ConfigOptions(path, launcher='pytorch'))
    for name in ('RANK', 'LOCAL_RANK', 'WORLD_SIZE'):
        monkeypatch.setenv(name, '0')
    many = load_config(ConfigOptions(path, cfg_options=overrides, launcher='pytorch'))
    assert many.model.backbone.norm_cfg.type == 'SyncBN'


def test_amp_on_a_cpu_needs_no_scaler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr('torch.cuda.is_available', lambda: False)
    overrides = ('optim_wrapper.loss_scale=dynamic', 'optim_wrapper.dtype=float16')
    cfg = load_config(ConfigOptions(DEMO, overrides, amp=True))
    assert cfg.optim_wrapper.type == 'Bf16OptimWrapper' and cfg.optim_wrapper.optimizer.type == 'AdamW'
    assert not {'loss_scale', 'dtype'} & set(cfg.optim_wrapper)
    assert not cfg.val_cfg.get('fp16') and not cfg.test_cfg.get('fp16')  # numpy has no bf16


def test_amp_on_a_gpu_reaches_training_and_evaluation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr('torch.cuda.is_available', lambda: True)
    cfg = load_config(ConfigOptions(DEMO, amp=True))
    assert (cfg.optim_wrapper.type, cfg.optim_wrapper.loss_scale) == ('AmpOptimWrapper', 'dynamic')
    assert cfg.optim_wrapper.optimizer.type == 'AdamW'
    assert cfg.val_cfg.fp16 and cfg.test_cfg.fp16


def test_auto_scale_lr_needs_a_base_batch_size() -> None:
    assert load_config(ConfigOptions(CONFIGS / 'semfpn_v2_l_ade20k.py', auto_scale_lr=True)).auto_scale_lr.enable
    with pytest.raises(ValueError, match=r'--auto-scale-lr needs .* base_batch_size'):
        load_config(ConfigOptions(DEMO, auto_scale_lr=True))


def test_window_options_reach_the_segmentor_and_nothing_else() -> None:
    cfg = open_config(ConfigOptions(CONFIGS / 'semfpn_v2_l_ade20k.py', window_px=512))
    assert cfg.model.test_cfg == dict(mode='slide', crop_size=(512, 512), stride=(341, 341))
    with pytest.raises(ValueError, match=r'--window-px is for segmentors; model\.type is MaskRCNN'):
        open_config(ConfigOptions(DEMO, window_px=512))
    with pytest.raises(ValueError, match='add its size, --window-px'):
        load_config(ConfigOptions(CONFIGS / 'semfpn_v2_l_ade20k.py', stride_px=100))


def test_launcher_that_has_not_started_this_process_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv('SLURM_PROCID', raising=False)
    with pytest.raises(ValueError, match='srun --ntasks=N effdense train CONFIG --launcher slurm'):
        load_config(ConfigOptions(DEMO, launcher='slurm'))


def test_more_processes_than_gpus_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr('torch.cuda.is_available', lambda: True)
    monkeypatch.setattr('torch.cuda.device_count', lambda: 2)
    for name in ('RANK', 'LOCAL_RANK', 'WORLD_SIZE'):
        monkeypatch.setenv(name, '2')
    with pytest.raises(ValueError, match='process 3 on this machine, which has 2 GPUs'):
        load_config(ConfigOptions(DEMO, launcher='pytorch'))


def test_sync_batch_norm_of_several_processes_needs_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr('torch.cuda.is_available', lambda: False)
    for name in ('RANK', 'LOCAL_RANK', 'WORLD_SIZE'):
        monkeypatch.setenv(name, '0')
    overrides = ('model.backbone.norm_cfg.type=SyncBN', 'sync_bn=torch')
    cfg = load_config(ConfigOptions(CONFIGS / 'maskrcnn_v2_l_coco.py', cfg_options=overrides, launcher='pytorch'))
    assert cfg.model.backbone.norm_cfg.type == 'BN' and cfg.sync_bn is None


def test_keys_that_builders_take_away_are_no_mistakes() -> None:
    """What mmdet's and mmseg's own base configs write, and constructors never see."""
    cfg = load_config(ConfigOptions(DEMO))
    init_default_scope(cfg.default_scope)
    norm_cfg = dict(type='SyncBN', requires_grad=True)
    cfg.merge_from_dict(
        {
            'model.backbone.norm_cfg': norm_cfg,
            'model.neck.norm_cfg': norm_cfg,
            'model.neck.upsample_cfg': dict(mode='nearest'),
            'model.roi_head.mask_head.upsample_cfg': dict(type='deconv', scale_factor=2),
            'train_dataloader.num_batch_per_epoch': 3,
            'param_scheduler.1.convert_to_iter_based': True,
        }
    )
    check_arguments(cfg)


@pytest.mark.parametrize('family', ['mmdet', 'mmseg'])
def test_the_frameworks_own_configs_pass(family: str) -> None:
    """The check may not stand in the way of configs that are not ours."""
    import importlib

    folder = Path(importlib.import_module(family).__file__).parent / '.mim' / 'configs'
    names = {
        'mmdet': ['mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py', 'retinanet/retinanet_r50_fpn_1x_coco.py'],
        'mmseg': ['sem_fpn/fpn_r50_4xb4-160k_ade20k-512x512.py', 'upernet/upernet_r50_4xb4-160k_ade20k-512x512.py'],
    }[family]
    for name in names:
        cfg = Config.fromfile(folder / name)
        init_default_scope(family)
        check_arguments(cfg)


def test_data_root_that_could_replace_nothing_is_refused(tmp_path: Path) -> None:
    path = tmp_path / 'config.py'
    path.write_text('model = dict()\ntrain_dataloader = dict(dataset=dict(type="X"))\n')
    with pytest.raises(ValueError, match='the config has none'):
        load_config(ConfigOptions(path, data_root=tmp_path))
