"""A run looks through its data first: what would be misread is read from a copy, and one line says so."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import init_default_scope

from effformer_dense.data.border.findings import Findings
from effformer_dense.engine.fit_data import FOLDER, fit_data
from effformer_dense.errors import UserError
from effformer_dense.options import ConfigOptions
from effformer_dense.tasks import Reading
from tests.data.border.changes import drop, put
from tests.data.border.folders import write_map, write_picture
from tests.data.border.records import Table, make_pictures, save, table

OPTIONS = ConfigOptions(Path('own.py'))


@pytest.fixture
def cfg(tmp_path: Path) -> Config:
    """Training and validation on the same good file, through a wrapper."""
    init_default_scope('mmdet')
    make_pictures(tmp_path / 'pictures')
    write(tmp_path / 'train.json', table())
    own = dict(
        type='CocoDataset',
        data_root=str(tmp_path),
        ann_file='train.json',
        data_prefix=dict(img='pictures/'),
        metainfo=dict(classes=('cat', 'dog')),
    )
    file = str(tmp_path / 'train.json')
    return Config(
        dict(
            work_dir=str(tmp_path / 'work'),
            train_dataloader=dict(dataset=dict(type='RepeatDataset', times=2, dataset=own)),
            val_dataloader=dict(dataset=dict(own)),
            val_evaluator=[dict(type='CocoMetric', metric='bbox', ann_file=file)],
        )
    )


def write(path: Path, spoilt: Table, *spoils: Callable[[Table], None]) -> bytes:
    for spoil in spoils:
        spoil(spoilt)
    path.write_text(json.dumps(spoilt))
    return path.read_bytes()


def files_of(cfg: Config) -> list[str]:
    return [
        cfg.train_dataloader.dataset.dataset.ann_file,
        cfg.val_dataloader.dataset.ann_file,
        cfg.val_evaluator[0].ann_file,
    ]


def test_good_data_are_read_where_they_are(cfg: Config, tmp_path: Path) -> None:
    before = files_of(cfg)
    assert fit_data(cfg, ('train', 'val'), OPTIONS) == []
    assert files_of(cfg) == before and not (tmp_path / 'work').exists()


def test_a_copy_is_read_by_data_sets_and_metrics(cfg: Config, tmp_path: Path) -> None:
    original = write(tmp_path / 'train.json', table(), drop('annotations', 'iscrowd'))
    lines = fit_data(cfg, ('train', 'val'), OPTIONS)
    train, val, metric = files_of(cfg)
    assert train != val == metric and Path(train).parent == tmp_path / 'work' / FOLDER
    assert (tmp_path / 'train.json').read_bytes() == original
    for line, copy in zip(lines, (train, val), strict=True):
        assert f'{tmp_path}/train.json: 3 repaired (no iscrowd 3); {copy} is read instead. All of them: ' in line
        report = Path(line.rpartition(': ')[2])
        assert [json.loads(text)['kind'] for text in report.read_text().splitlines()] == ['no iscrowd']
        assert {row['iscrowd'] for row in json.loads(Path(copy).read_text())['annotations']} == {0}
    assert fit_data(cfg, ('train', 'val'), OPTIONS) == []  # the copy is good


def test_what_a_framework_leaves_out_by_itself_is_told(cfg: Config, tmp_path: Path) -> None:
    write(tmp_path / 'train.json', table(), put('annotations.2.category_id', 9))
    before = files_of(cfg)
    (line,) = fit_data(cfg, ('train',), OPTIONS)
    assert '1 left out (no such category 1); it is read as it is' in line
    assert files_of(cfg) == before


def test_a_metric_with_a_file_of_its_own(cfg: Config, tmp_path: Path) -> None:
    write(tmp_path / 'train.json', table(), drop('annotations', 'iscrowd'))
    write(tmp_path / 'other.json', table())
    cfg.val_evaluator[0].ann_file = str(tmp_path / 'other.json')
    with pytest.raises(UserError, match=r'val_evaluator\.0\.ann_file is .*other.json, and the data set has .*train.j'):
        fit_data(cfg, ('train', 'val'), OPTIONS)


def test_limits_are_options(cfg: Config, tmp_path: Path) -> None:
    with pytest.raises(UserError, match='--max-pixels'):
        fit_data(cfg, ('train',), ConfigOptions(Path('own.py'), max_pixels=99))
    (tmp_path / 'pictures' / 'link.png').symlink_to(save(tmp_path / 'away.png'))
    write(tmp_path / 'train.json', table(), put('images.2.file_name', 'link.png'))
    with pytest.raises(UserError, match='--outside-root'):
        fit_data(cfg, ('train',), OPTIONS)
    assert fit_data(cfg, ('train',), ConfigOptions(Path('own.py'), outside_root=True)) == []


def test_a_json_bomb_ends_a_run_before_it_starts(cfg: Config, tmp_path: Path) -> None:
    (tmp_path / 'train.json').write_text('{"images":' + '[' * 200_000)
    with pytest.raises(UserError, match=r'train\.json is nested too deeply'):
        fit_data(cfg, ('train', 'val'), OPTIONS)


def test_a_single_doubt_is_told_with_its_reason(tmp_path: Path) -> None:
    """A class in no file is warned of by name."""
    pytest.importorskip('mmseg')
    init_default_scope('mmseg')
    for name in 'ab':
        write_picture(tmp_path / 'images' / f'{name}.jpg', 48, 32)
        write_map(tmp_path / 'maps' / f'{name}.png', np.arange(32 * 48, dtype=np.uint8).reshape(32, 48) % 2)
    node = dict(
        type='BaseSegDataset',
        data_root=str(tmp_path),
        data_prefix=dict(img_path='images', seg_map_path='maps'),
        metainfo=dict(classes=('ground', 'road', 'sky')),
    )
    cfg = Config(dict(work_dir=str(tmp_path / 'work'), train_dataloader=dict(dataset=node)))
    (line,) = fit_data(cfg, ('train',), OPTIONS)
    assert "1 doubtful (class in no file 1: no pixel of 2 maps is 'sky'); it is read as it is" in line


def test_data_that_are_generated_or_of_no_task_are_left_alone(cfg: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    import effformer_dense.data.shapes_mmdet  # noqa: F401
    from effformer_dense.detection.task import Detection

    def fit(self: Detection, dataset: Any, reading: Reading, findings: Findings) -> None:
        raise AssertionError(f'{dataset.type_name} was looked through')

    monkeypatch.setattr(Detection, 'fit', fit)
    for kind in ('ShapesCocoDataset', 'mmengine.BaseDataset'):
        cfg.train_dataloader.dataset.dataset.type = kind
        assert fit_data(cfg, ('train',), OPTIONS) == []
    cfg.train_dataloader.dataset.dataset.type = 'CocoDataset'
    with pytest.raises(AssertionError, match='CocoDataset was looked through'):
        fit_data(cfg, ('train',), OPTIONS)
