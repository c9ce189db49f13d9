"""What a work dir tells of its runs."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from mmengine.config import Config

from effformer_dense.config.datasets import datasets_of
from effformer_dense.engine.training.provenance import FILE, fingerprint, record_start


@pytest.fixture
def cfg(tmp_path: Path) -> Config:
    """Config of a data set of three files."""
    root = tmp_path / 'data'
    (root / 'pictures' / 'below').mkdir(parents=True)
    for name, size in (('a.jpg', 3), ('below/b.jpg', 4)):
        (root / 'pictures' / name).write_bytes(b'x' * size)
    (root / 'train.json').write_text('{}')
    dataset = dict(
        type='BaseDataset', data_root=str(root), ann_file='train.json', data_prefix=dict(img_path='pictures')
    )
    return Config(dict(work_dir=str(tmp_path / 'run'), train_dataloader=dict(dataset=dataset)))


def starts(cfg: Config) -> list[dict]:
    return json.loads(Path(cfg.work_dir, FILE).read_text())


def test_each_start_is_added(cfg: Config):
    assert record_start(cfg, 3, None) == []
    assert record_start(cfg, 3, Path('iter_5.pth')) == []
    first, second = starts(cfg)
    assert first['seed'] == 3 and first['resumed_from'] is None and second['resumed_from'] == 'iter_5.pth'
    assert first['versions']['torch'] and first['versions']['mmengine'] and first['versions']['effformer_dense']
    (data,) = first['data']['train']
    assert data['folders']['img_path']['files'] == 2 and data['folders']['img_path']['bytes'] == 7
    assert len(data['annotation_sha256']) == 64


def test_changed_data_are_told_when_a_run_goes_on(cfg: Config):
    record_start(cfg, 3, None)
    Path(cfg.train_dataloader.dataset.data_root, 'train.json').write_text('[]')
    assert record_start(cfg, 3, Path('iter_5.pth')) == ['train']
    Path(cfg.train_dataloader.dataset.data_root, 'pictures', 'c.jpg').write_bytes(b'')
    assert record_start(cfg, 3, None) == []  # another run


def test_fingerprint_of_folders_that_are_not_there(cfg: Config):
    cfg.train_dataloader.dataset.data_root += '_missing'
    (dataset,) = datasets_of(cfg, 'train')
    assert fingerprint(dataset)['annotation_sha256'] is None
    assert fingerprint(dataset)['folders']['img_path']['files'] == 0


def test_commit_of_the_users_folder(cfg: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = tmp_path / 'code'
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv('GIT_CEILING_DIRECTORIES', str(tmp_path))
    record_start(cfg, 3, None)
    git = ['git', '-c', 'user.name=n', '-c', 'user.email=e']
    (folder / 'a').write_text('1')
    for command in (['init', '-q'], ['add', 'a'], ['commit', '-qm', 'first']):
        subprocess.run([*git, *command], check=True, cwd=folder)
    record_start(cfg, 3, None)
    (folder / 'a').write_text('2')
    record_start(cfg, 3, None)
    without, clean, changed = (start['commit'] for start in starts(cfg))
    assert without is None
    assert len(clean['commit']) == 40 and clean['commit'] == changed['commit']
    assert (clean['is_changed'], changed['is_changed']) == (False, True)


def test_file_that_is_no_list_is_put_aside(cfg: Config):
    path = Path(cfg.work_dir, FILE)
    path.parent.mkdir()
    path.write_text('{"a":')
    record_start(cfg, 3, None)
    assert len(starts(cfg)) == 1 and path.with_suffix('.unreadable').read_text() == '{"a":'
