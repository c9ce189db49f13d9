"""A new training in a used work dir takes nothing away from the earlier one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from mmengine.config import Config

from effformer_dense.checkpoint.whole_files import newest_whole
from effformer_dense.checkpoint.whole_model import find_checkpoint
from effformer_dense.engine.training.earlier import check_not_wanted, set_aside
from effformer_dense.errors import UserError

CHECKPOINTS = ('epoch_3.pth', 'iter_40.pth', 'best_coco_bbox_mAP_epoch_2.pth')


def _config(work_dir: Path, **entries: object) -> Config:
    file = work_dir.parent / 'configs' / 'mine.py'
    file.parent.mkdir(exist_ok=True)
    file.touch()
    return Config(dict(work_dir=str(work_dir), **entries), filename=str(file))


def _used(folder: Path, time: float = 1.6e9) -> Path:
    folder.mkdir(parents=True)
    for name in (*CHECKPOINTS, 'last_checkpoint', 'mine.py', 'other.py', 'weights.pth', 'run.json'):
        (folder / name).write_text(f'{folder} {name}')
        os.utime(folder / name, (time, time))
    return folder


def test_checkpoints_are_moved_and_the_config_is_copied(tmp_path: Path) -> None:
    work_dir = _used(tmp_path / 'work')
    (aside,) = set_aside(_config(work_dir))
    assert aside.parent == work_dir and aside.name.startswith('earlier_202009')
    assert {path.name for path in aside.iterdir()} == {*CHECKPOINTS, 'last_checkpoint', 'mine.py'}
    left = {path.name for path in work_dir.iterdir()} - {aside.name}
    assert left == {'mine.py', 'other.py', 'weights.pth', 'run.json'}
    assert newest_whole(work_dir)[0] is None
    with pytest.raises(UserError, match=f'Those of an earlier training are in {aside}'):
        find_checkpoint(work_dir)
    assert set_aside(_config(work_dir)) == [], 'once is enough'


def test_two_of_one_second_and_folders_of_deepspeed(tmp_path: Path) -> None:
    work_dir = tmp_path / 'work'
    for _ in range(2):
        (work_dir / 'epoch_1.pth').mkdir(parents=True)
        os.utime(work_dir / 'epoch_1.pth', (1.6e9, 1.6e9))
        set_aside(_config(work_dir))
    first, second = sorted(work_dir.iterdir())
    assert second.name == f'{first.name}_2' and (second / 'epoch_1.pth').is_dir()


def test_checkpoints_elsewhere(tmp_path: Path) -> None:
    work_dir, elsewhere = _used(tmp_path / 'work'), _used(tmp_path / 'large disk' / 'work')
    hooks = dict(checkpoint=dict(out_dir=str(elsewhere.parent)))
    assert [path.parent for path in set_aside(_config(work_dir, default_hooks=hooks))] == [work_dir, elsewhere]


def test_new_folders_have_nothing(tmp_path: Path) -> None:
    assert set_aside(_config(tmp_path / 'new')) == []
    (tmp_path / 'last_checkpoint').write_text('gone.pth')
    assert set_aside(_config(tmp_path)) == []


@pytest.mark.parametrize(
    ('entries', 'place'),
    [
        (dict(load_from='{}/epoch_3.pth'), 'load_from'),
        (
            dict(model=dict(backbone=dict(init_cfg=dict(checkpoint='{}/../run/iter_40.pth')))),
            'model.backbone.init_cfg.checkpoint',
        ),
        (dict(distill=dict(teachers=['x', '{}/epoch_3.pth'])), 'distill.teachers.1'),
    ],
)
def test_a_training_that_begins_with_them_is_refused(entries: dict, place: str, tmp_path: Path) -> None:
    work_dir = _used(tmp_path / 'run')
    check_not_wanted(_config(work_dir, load_from=f'{work_dir}/weights.pth'))
    with pytest.raises(UserError, match=rf'^{place} is .*another --work-dir'):
        check_not_wanted(_config(work_dir, **_filled(entries, str(work_dir))))


def _filled(value: object, work_dir: str):
    if isinstance(value, dict):
        return {key: _filled(part, work_dir) for key, part in value.items()}
    if isinstance(value, list):
        return [_filled(part, work_dir) for part in value]
    return str(value).format(work_dir)
