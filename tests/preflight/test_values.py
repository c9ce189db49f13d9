"""Values of options that torch or MMEngine would refuse late, or with a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest

from effformer_dense.checkpoint.whole_model import find_checkpoint
from effformer_dense.config.load import load_config
from effformer_dense.engine import runner
from effformer_dense.engine.open import open_config
from effformer_dense.errors import UserError
from effformer_dense.options import ConfigOptions
from effformer_dense.preflight.arguments import check_arguments

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
    ],
)
def test_loaders(override: str, message: str) -> None:
    cfg = open_config(ConfigOptions(DEMO, (override,)))
    with pytest.raises(UserError, match=message):
        check_arguments(cfg)


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
