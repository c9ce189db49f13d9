"""The newest whole checkpoint of a work dir is found by looking; the pointer to it is a hint."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from effformer_dense.checkpoint import whole_model
from effformer_dense.checkpoint.whole_files import flaw_of
from effformer_dense.checkpoint.whole_model import find_checkpoint
from effformer_dense.errors import UserError

#: Time of a file, in steps of ten seconds.
START = 1_700_000_000


def _write(path: Path, time: int, spoil: Callable[[bytes], bytes] | None = None) -> Path:
    torch.save({'state_dict': {'weight': torch.arange(1000.0)}}, path)
    if spoil is not None:
        path.write_bytes(spoil(path.read_bytes()))
    return _date(path, time)


def _date(path: Path, time: int) -> Path:
    os.utime(path, (START + 10 * time, START + 10 * time))
    return path


def _point(folder: Path, text: str, time: int) -> None:
    (folder / 'last_checkpoint').write_text(text)
    _date(folder / 'last_checkpoint', time)


SPOILT: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    'empty': (lambda data: b'', 'is empty'),
    'cut': (lambda data: data[: len(data) // 2], 'is cut short or no checkpoint'),
    'last byte': (lambda data: data[:-1], 'is cut short or no checkpoint'),
    'zeros': (lambda data: bytes(len(data)), 'is cut short or no checkpoint'),
    'a bit': (lambda data: data[:2000] + bytes([data[2000] ^ 1]) + data[2001:], 'is damaged'),
    'text': (lambda data: b'not a checkpoint', 'is cut short or no checkpoint'),
}


@pytest.mark.parametrize('name', SPOILT)
def test_what_is_not_whole_is_passed_over_and_named(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spoil, flaw = SPOILT[name]
    told: list[str] = []
    monkeypatch.setattr(whole_model, 'print_log', lambda text, *_: told.append(text))
    before = _write(tmp_path / 'epoch_1.pth', 1)
    after = _write(tmp_path / 'epoch_2.pth', 2, spoil)
    _point(tmp_path, str(after), 3)
    assert flaw_of(before) is None and flaw_of(after) == flaw
    assert find_checkpoint(tmp_path) == before
    assert told == [f'{tmp_path}: epoch_2.pth {flaw}. epoch_1.pth is taken instead.']
    before.unlink()
    with pytest.raises(UserError, match=f'holds no whole checkpoint: epoch_2.pth {flaw}'):
        find_checkpoint(tmp_path)


@pytest.mark.parametrize('pointer', [None, '', '\0', 'x' * 5000, '/gone/epoch_9.pth', '\udcff', '/'])
def test_a_pointer_to_nothing(pointer: str | None, tmp_path: Path) -> None:
    for number in (9, 10, 11):
        _write(tmp_path / f'iter_{number}.pth', number)
    if pointer is not None:
        (tmp_path / 'last_checkpoint').write_bytes(pointer.encode(errors='surrogateescape'))
    assert find_checkpoint(tmp_path).name == 'iter_11.pth'


def test_a_checkpoint_that_no_pointer_names_yet(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        _write(tmp_path / f'epoch_{number}.pth', number)
    _point(tmp_path, str(tmp_path / 'epoch_2.pth'), 2)
    assert find_checkpoint(tmp_path).name == 'epoch_3.pth'


def test_a_training_that_began_again(tmp_path: Path) -> None:
    """The highest number may be of the training before."""
    _write(tmp_path / 'epoch_12.pth', 1)
    new = _write(tmp_path / 'epoch_1.pth', 2)
    _point(tmp_path, str(new), 2)
    assert find_checkpoint(tmp_path) == new


def test_a_work_dir_that_was_copied(tmp_path: Path) -> None:
    """In the order of names, so that times say nothing; the original is still there."""
    original, copy = tmp_path / 'original', tmp_path / 'copy'
    names = [f'epoch_{number}.pth' for number in (8, 9, 10)]
    for folder in (original, copy):
        folder.mkdir()
        for time, name in enumerate(sorted(names)):
            _write(folder / name, time)
        _point(folder, str(original / 'epoch_10.pth'), 5)
    assert find_checkpoint(copy) == copy / 'epoch_10.pth'


@pytest.mark.parametrize('pointer', [0, 1, 2, 3, 4])
def test_a_work_dir_whose_pointer_was_copied_before_some_of_its_files(pointer: int, tmp_path: Path) -> None:
    for time, number in enumerate((12, 10, 13, 11)):
        if number < 13:
            _write(tmp_path / f'epoch_{number}.pth', 2 * time)
    _point(tmp_path, 'epoch_12.pth', 2 * pointer - 1)
    assert find_checkpoint(tmp_path) == tmp_path / 'epoch_12.pth'


def test_checkpoints_kept_elsewhere(tmp_path: Path) -> None:
    elsewhere, work_dir = tmp_path / 'elsewhere', tmp_path / 'work'
    elsewhere.mkdir()
    work_dir.mkdir()
    _write(elsewhere / 'epoch_1.pth', 1)
    last = _write(elsewhere / 'epoch_2.pth', 2)
    _point(work_dir, str(last), 2)
    assert find_checkpoint(work_dir) == last
    last.write_bytes(b'')
    assert find_checkpoint(work_dir).name == 'epoch_1.pth'


def test_other_files_are_no_checkpoints_of_a_training(tmp_path: Path) -> None:
    for name in ('best_coco_bbox_mAP_epoch_1.pth', '.epoch_2.1234.partial.pth', 'mine.pth', 'epoch_x.pth'):
        _write(tmp_path / name, 1)
    (tmp_path / 'epoch_3.pth').mkdir()
    with pytest.raises(UserError, match='holds no checkpoint'):
        find_checkpoint(tmp_path)


def test_looking_runs_nothing(tmp_path: Path) -> None:
    from .test_hostile import CASES

    for number, name in enumerate(('a command', 'an expression', 'a command in the logs')):
        file = tmp_path / f'epoch_{number}.pth'
        CASES[name].write({'x': torch.ones(1)}, file, tmp_path / 'canary')
        assert find_checkpoint(tmp_path).is_file() and not (tmp_path / 'canary').exists()


def test_files_of_old_torch_have_no_checksums(tmp_path: Path) -> None:
    torch.save({'x': torch.ones(1)}, tmp_path / 'epoch_1.pth', _use_new_zipfile_serialization=False)
    assert find_checkpoint(tmp_path).name == 'epoch_1.pth'
