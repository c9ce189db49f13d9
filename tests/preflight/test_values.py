"""Values of options that torch or MMEngine would refuse late, or with a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest

from effformer_dense.checkpoint.whole_model import find_checkpoint
from effformer_dense.config.home import CONFIGS
from effformer_dense.config.load import load_config
from effformer_dense.engine import runner
from effformer_dense.engine.open import open_config
from effformer_dense.errors import UserError
from effformer_dense.options import ConfigOptions
from effformer_dense.preflight.device import check_device
from effformer_dense.preflight.model import check_backbone
from effformer_dense.preflight.values import check_together, check_values

DEMO = Path('maskrcnn_v2_s0_shapes')


@pytest.mark.parametrize(
    ('override', 'message'),
    [
        (
            'train_dataloader.batch_size=abc',
            "batch_size must be a whole number of 1 or more; got 'abc'",
        ),
        ('train_dataloader.batch_size=0', 'train_dataloader.batch_size must be a whole number of 1 or more; got 0'),
        ('val_dataloader.num_workers=-1', 'val_dataloader.num_workers must be a whole number of 0 or more; got -1'),
        ('test_dataloader.num_workers=1.5', 'test_dataloader.num_workers must be a whole number of 0 or more; got 1.5'),
        ('train_dataloader.num_workers=0', 'set train_dataloader.persistent_workers=False too'),
        ('train_cfg.max_epochs=0', 'train_cfg.max_epochs must be a whole number of 1 or more; got 0'),
        ('train_cfg.max_epochs=abc', "max_epochs must be a whole number of 1 or more; got 'abc'"),
        ('train_cfg.val_interval=-3', 'val_interval must be a whole number of 1 or more; got -3'),
        ('optim_wrapper.optimizer.lr=nan', 'optimizer.lr must be a finite number above 0; got nan'),
        ('optim_wrapper.optimizer.lr=1e999', 'optimizer.lr must be a finite number above 0; got inf'),
        ('optim_wrapper.optimizer.lr=-1', 'optimizer.lr must be a finite number above 0; got -1'),
        ('optim_wrapper.optimizer.lr=0', 'optimizer.lr must be a finite number above 0; got 0'),
        ('optim_wrapper.optimizer.lr=abc', "optimizer.lr must be a finite number above 0; got 'abc'"),
        ('optim_wrapper.optimizer.lr=', "optimizer.lr must be a finite number above 0; got ''"),
        ('optim_wrapper.optimizer.lr=True', 'optimizer.lr must be a finite number above 0; got True'),
        ('optim_wrapper.optimizer.weight_decay=-1', 'weight_decay must be a finite number of 0 or more; got -1'),
        ('optim_wrapper.optimizer.betas=3', 'betas must be two numbers from 0 to less than 1; got 3'),
        ('optim_wrapper.optimizer.betas=0.9,1.5', 'betas must be two numbers from 0 to less than 1; got'),
        ('default_hooks.checkpoint.interval=0', 'checkpoint.interval must be .* or -1 for never; got 0'),
        ('default_hooks.logger.interval=0', 'logger.interval must be a whole number of 1 or more; got 0'),
        ('randomness.seed=-1', r'randomness.seed must be a whole number from 0 to 2\*\*32 - 1; got -1'),
        ('load_from=', "load_from must be the name of a checkpoint; got ''"),
        ('param_scheduler=3', r'param_scheduler.0 must be a dict such as .*; got 3'),
        ('param_scheduler.0.end=abc', "param_scheduler.0.end must be a whole number of 1 or more, or inf; got 'abc'"),
        ('log_level=LOUD', "log_level must be one of DEBUG, INFO, WARNING, ERROR, CRITICAL; got 'LOUD'"),
    ],
)
def test_numbers_of_a_config(override: str, message: str) -> None:
    cfg = open_config(ConfigOptions(DEMO, (override,)))
    with pytest.raises(UserError, match=message):
        check_values(cfg)


@pytest.mark.parametrize('path', sorted(CONFIGS.rglob('*.py')), ids=lambda path: path.stem)
def test_no_config_of_ours_is_refused(path: Path) -> None:
    check_values(load_config(ConfigOptions(path)))


@pytest.mark.parametrize(
    ('given', 'message'),
    [
        (('val_cfg=None',), r'^val_cfg is missing, or None: validation takes .*\(val_dataloader=None val_cfg=None'),
        (('train_cfg=None', 'optim_wrapper=None'), r'^train_cfg and optim_wrapper are missing'),
    ],
)
def test_entries_that_belong_together(given: tuple[str, ...], message: str) -> None:
    check_together(load_config(ConfigOptions(DEMO)))
    check_together(load_config(ConfigOptions(DEMO, ('val_dataloader=None', 'val_cfg=None', 'val_evaluator=None'))))
    with pytest.raises(UserError, match=message):
        check_together(load_config(ConfigOptions(DEMO, given)))


@pytest.mark.parametrize('key', ['model', 'model.backbone', 'train_dataloader', 'optim_wrapper', 'randomness'])
def test_one_value_for_a_whole_section(key: str) -> None:
    with pytest.raises(UserError, match=rf'--cfg-options {key}=3 would take the place of all of {key}. Name the entry'):
        load_config(ConfigOptions(DEMO, (f'{key}=3',)))
    assert load_config(ConfigOptions(DEMO, ('model.backbone.init_cfg=None',))).model.backbone.init_cfg is None


def test_backbones_of_another_type() -> None:
    with pytest.raises(UserError, match=r"model.backbone cannot be built of .*'drop_path_rate': 'abc'"):
        check_backbone(open_config(ConfigOptions(DEMO, ('model.backbone.drop_path_rate=abc',))).model, False)


@pytest.mark.parametrize('name', ['gpu', 'cuda:99', '', 'meta', 'cpu:3', 'cuda:-1', 'CUDA'])
def test_devices(name: str) -> None:
    with pytest.raises(UserError, match=r'(?s)--device .*This machine has cpu'):
        check_device(name)


def test_work_dir_that_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / 'file'
    file.touch()
    monkeypatch.setattr(runner, 'load_checked_config', lambda options, splits: load_config(options))
    with pytest.raises(UserError, match=r'cannot be a folder: .*file is a file'):
        runner.train(ConfigOptions(DEMO, work_dir=file / 'work'))


def test_config_that_is_no_python(tmp_path: Path) -> None:
    path = tmp_path / 'broken.py'
    path.write_text('model = dict(\n')
    with pytest.raises(UserError, match=r'broken.py cannot be read: SyntaxError'):
        load_config(ConfigOptions(path))


def test_folder_without_checkpoints(tmp_path: Path) -> None:
    with pytest.raises(UserError, match='holds no checkpoint'):
        find_checkpoint(tmp_path)
