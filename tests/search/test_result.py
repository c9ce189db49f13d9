"""Found networks of other configs than the demo's: overrides, no neck, some of the maps, accumulated gradients."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

pytest.importorskip('mmseg')

from effformer_dense.config.load import load_config
from effformer_dense.engine.open import open_config
from effformer_dense.errors import UserError
from effformer_dense.options import ConfigOptions, SearchOptions, TableOptions
from effformer_dense.search import run
from effformer_dense.search.job import Job, read_job, space_of
from effformer_dense.search.methods import JOINT
from effformer_dense.search.pictures import Trial
from effformer_dense.search.result import write_found
from effformer_dense.search.training import scorer_of, to_supernet
from effformer_dense.search.walk import Record
from tests.helpers import PROJECT_ROOT
from tests.search.spaces import SMALL_V2

CONFIG = """
_base_ = {base!r}
search = dict(space={space!r})
loader = dict(batch_size=2, num_workers=0, persistent_workers=False,
    dataset=dict(data_root={root!r}, shapes=dict(splits=dict(training=4, validation=2), size_px=64, seed=0)))
train_dataloader = loader
val_dataloader = loader
model = dict({model})
"""
SPACE = {key: [list(part) if isinstance(part, tuple) else part for part in value] for key, value in SMALL_V2.items()}


def options_of(base: str, tmp_path: Path, *overrides: str, model: str = '') -> ConfigOptions:
    config = tmp_path / 'task.config.py'
    base = str(PROJECT_ROOT / 'configs' / base)
    config.write_text(CONFIG.format(base=base, space=SPACE, root=str(tmp_path / 'shapes'), model=model))
    return ConfigOptions(config, overrides, work_dir=tmp_path / 'search')


def found_of(options: ConfigOptions, folder: Path) -> Path:
    """Any network, out of a supernet that is not trained."""
    run.load_checked_config(replace(options, from_scratch=True), ('train', 'val'))
    cfg = open_config(options)
    space = space_of(cfg, JOINT)
    torch.manual_seed(0)
    scorer = scorer_of(cfg, to_supernet(cfg, space, JOINT), Trial(2, 1, 'loss'), None)
    folder.mkdir()
    return write_found(folder, 'found', options, scorer, Record(space.smallest, 'start', 0.0, 1.0, 1.0))


@pytest.mark.slow
def test_overrides_are_in_what_is_found(tmp_path: Path) -> None:
    overrides = ('model.neck.out_channels=16', 'model.decode_head.in_channels=[16,16,16,16]')
    overrides += ('model.backbone.bias_resize=clamp', 'train_cfg.max_iters=7')
    found = found_of(options_of('semfpn_v2_s0_shapes.py', tmp_path, *overrides), tmp_path / 'search')
    cfg = load_config(ConfigOptions(found))
    assert cfg.model.neck.out_channels == 16 and cfg.model.backbone.bias_resize == 'clamp'
    assert cfg.train_cfg.max_iters == 7 and cfg.load_from == str(found.with_suffix('.pth').absolute())
    assert cfg.model.neck.in_channels == [8, 16, 16, 24]


@pytest.mark.slow
def test_heads_without_a_neck_and_some_of_the_maps(tmp_path: Path) -> None:
    found = found_of(options_of('heads/segformer_v2_s0_shapes.py', tmp_path), tmp_path / 'search')
    assert load_config(ConfigOptions(found)).model.decode_head.in_channels == [8, 16, 16, 24]
    model = 'backbone=dict(out_indices=(1, 2, 3)), neck=dict(in_channels=[48, 96, 176], num_outs=4)'
    some = options_of('semfpn_v2_s0_shapes.py', tmp_path, model=model)
    found = found_of(some, tmp_path / 'some')
    assert load_config(ConfigOptions(found)).model.neck.in_channels == [16, 16, 24]


@pytest.mark.slow
@pytest.mark.parametrize('head', ['upernet', 'deeplabv3plus'])
def test_heads_that_no_network_can_be_taken_from_are_refused_before_training(head: str, tmp_path: Path) -> None:
    options = options_of(f'heads/{head}_v2_s0_shapes.py', tmp_path)
    run.load_checked_config(replace(options, from_scratch=True), ('train', 'val'))
    cfg = open_config(options)
    job = Job(JOINT, options, (64, 64), SearchOptions(latency_ms=1.0, score='loss'), TableOptions())
    with pytest.raises(UserError, match=r'take another neck or head|takes each map by itself'):
        run.try_out(job, cfg, space_of(cfg, JOINT))
    assert not (tmp_path / 'search').exists()


def test_a_path_without_its_search_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r'search.json cannot be read: No such file.*beside search.json, table.json'):
        read_job(tmp_path / 'path.jsonl', 5.0)


def test_published_weights_are_left_out_of_supernets() -> None:
    cfg = open_config(ConfigOptions(PROJECT_ROOT / 'configs' / 'semfpn_v2_l_ade20k.py'))
    assert cfg.model.backbone.init_cfg.type == 'Pretrained'
    supernet = to_supernet(cfg, space_of(cfg, JOINT), JOINT)
    assert supernet.model.model.backbone.backbone.init_cfg is None
    assert cfg.model.backbone.init_cfg.type == 'Pretrained'  # not changed
