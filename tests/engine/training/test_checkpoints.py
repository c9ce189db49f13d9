"""Checkpoints are whole, or not there; the old one goes when the new one stands."""

from __future__ import annotations

import errno
import logging
import os
from pathlib import Path

import pytest
import torch

from effformer_dense import files
from effformer_dense.checkpoint.whole_files import flaw_of
from effformer_dense.checkpoint.whole_model import find_checkpoint
from effformer_dense.engine.training.checkpoints import WholeCheckpointHook
from effformer_dense.engine.training.runner import TrainingRunner
from effformer_dense.errors import UserError

from .toy import Toy, ToyScore, build, run


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob('*.pth'))


@pytest.mark.parametrize('keep', [1, 3])
@pytest.mark.parametrize('by_epoch', [True, False])
def test_a_whole_checkpoint_stands_at_every_moment(
    keep: int, by_epoch: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What there is when a checkpoint is half written, and when files are removed."""
    moments: list[list[str]] = []
    usual = files._compare

    def compare(path: Path, data: bytes) -> None:
        assert path.name.startswith('.')
        moments.append([p for p in _names(tmp_path) if not p.startswith(('.', 'best')) and not flaw_of(tmp_path / p)])
        usual(path, data)

    monkeypatch.setattr(files, '_compare', compare)
    toy = Toy(epochs=4 if by_epoch else 0, iters=4, val_s=0, hook=dict(max_keep_ckpts=keep, save_best='auto'))
    run(tmp_path, toy)
    assert len(moments) >= 4 and moments[0] == [] and all(moments[1:]), moments
    kind = 'epoch' if by_epoch else 'iter'
    kept = [f'{kind}_{number}.pth' for number in range(5 - keep, 5)]
    assert _names(tmp_path) == [f'best_toy_acc_{kind}_4.pth', *kept], 'hidden ones too'


def test_what_a_kill_before_the_removal_left_goes_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    removed = WholeCheckpointHook._remove_outdated
    monkeypatch.setattr(WholeCheckpointHook, '_remove_outdated', lambda hook: hook._outdated.clear())
    run(tmp_path, Toy(epochs=2, hook=dict(max_keep_ckpts=1)))
    (tmp_path / 'epoch_7.pth').write_bytes(b'of somebody else')
    os.utime(tmp_path / 'epoch_7.pth', (0, 0))
    assert _names(tmp_path) == ['epoch_1.pth', 'epoch_2.pth', 'epoch_7.pth']
    monkeypatch.setattr(WholeCheckpointHook, '_remove_outdated', removed)
    run(tmp_path, Toy(epochs=2, hook=dict(max_keep_ckpts=1), resume=True))
    assert _names(tmp_path) == ['epoch_2.pth', 'epoch_7.pth']


def test_going_on_elsewhere_removes_nothing_there(tmp_path: Path) -> None:
    here, there = tmp_path / 'here', tmp_path / 'there'
    run(here, Toy(epochs=2, val_s=0, hook=dict(max_keep_ckpts=2, save_best='auto')))
    before = _names(here)
    there.mkdir()
    (there / 'epoch_1.pth').write_bytes(b'of another training')
    toy = Toy(epochs=4, val_s=0, hook=dict(max_keep_ckpts=1, save_best='auto'))
    build(there, toy, here / 'epoch_2.pth').train()
    assert _names(here) == before
    assert _names(there) == ['best_toy_acc_epoch_4.pth', 'epoch_1.pth', 'epoch_4.pth']


def test_going_on_in_a_folder_of_its_own_for_checkpoints(tmp_path: Path) -> None:
    here, out = tmp_path / 'mine', tmp_path / 'out'
    hook = dict(max_keep_ckpts=1, save_best='auto', out_dir=str(out))
    run(here, Toy(epochs=2, val_s=0, hook=hook))
    assert _names(out / 'mine') == ['best_toy_acc_epoch_2.pth', 'epoch_2.pth']
    run(here, Toy(epochs=4, val_s=0, hook=hook, resume=True))
    assert _names(out / 'mine') == ['best_toy_acc_epoch_4.pth', 'epoch_4.pth']


def _full_after(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the disk be full at the checkpoint after ``count`` of them."""
    usual, calls = os.fsync, []

    def fsync(handle: int) -> None:
        calls.append(handle)
        if len(calls) > 2 * count:  # a file and its folder
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        usual(handle)

    monkeypatch.setattr(files.os, 'fsync', fsync)


def test_a_full_disk_is_one_error_and_leaves_the_checkpoint_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy = Toy(epochs=3, hook=dict(max_keep_ckpts=1))
    with monkeypatch.context() as full:
        _full_after(1, full)
        message = (
            r'epoch_2.pth could not be written: No space left on device; it takes 0.0 MB, and [\d,.]+ MB are free '
            r'there. The last whole checkpoint is .*epoch_1.pth. Make room, then: .*train toy.py --work-dir '
            r'\S+ --resume'
        )
        with pytest.raises(UserError, match=message):
            run(tmp_path, toy)
    assert _names(tmp_path) == ['epoch_1.pth'] and find_checkpoint(tmp_path).name == 'epoch_1.pth'
    run(tmp_path, Toy(**{**vars(toy), 'resume': True}))
    assert _names(tmp_path) == ['epoch_3.pth']


def test_a_full_disk_before_the_first_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _full_after(0, monkeypatch)
    with pytest.raises(UserError, match=r'There is no checkpoint yet. Make room, then: .*train toy.py --work-'):
        run(tmp_path, Toy())
    assert _names(tmp_path) == []


@pytest.mark.parametrize('written', [b'', b'12345', b'123456x', b'12345678'])
def test_a_disk_that_gives_back_something_else(written: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / 'file').write_bytes(b'before')
    usual = files._compare

    def compare(path: Path, data: bytes) -> None:
        path.write_bytes(written)
        usual(path, data)

    monkeypatch.setattr(files, '_compare', compare)
    with pytest.raises(OSError, match='read back'):
        files.write_durably(tmp_path / 'file', b'1234567')
    assert [path.name for path in tmp_path.iterdir()] == ['file'] and (tmp_path / 'file').read_bytes() == b'before'


def test_partial_files_of_the_dead_are_removed_and_no_others(tmp_path: Path) -> None:
    gone = 2**22 + 1  # more than systems hand out
    names = [f'.epoch_3.{os.getpid()}.partial.pth', f'.epoch_3.{gone}.partial.pth', f'.last_checkpoint.{gone}.partial']
    others = [f'.epoch_3.{os.getppid()}.partial.pth', '.hidden.pth', 'epoch_3.pth', f'.epoch.{gone}.partial.pth.mine']
    for name in (*names, *others):
        (tmp_path / name).touch()
    assert sorted(path.name for path in files.remove_partial(tmp_path)) == sorted(names)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(others)


def test_a_metric_that_cannot_be_ranked_ends_nothing(tmp_path: Path) -> None:
    hook = dict(max_keep_ckpts=1, save_best='auto', greater_keys=['nothing'], less_keys=['nothing'])
    run(tmp_path, Toy(epochs=2, val_s=0, hook=hook))
    assert _names(tmp_path) == ['epoch_2.pth']


def test_the_end_names_the_best_checkpoint(tmp_path: Path) -> None:
    run(tmp_path, Toy(epochs=2, val_s=0, hook=dict(save_best='auto')))
    log = next(tmp_path.glob('*/*.log')).read_text()
    assert f'Best checkpoint (toy/acc 7.0000): {tmp_path}/best_toy_acc_epoch_2.pth' in log
    meta = torch.load(tmp_path / 'epoch_2.pth', weights_only=False)['meta']
    assert meta['world_size'] == 1


@pytest.mark.parametrize('by_epoch', [True, False])
def test_a_validation_that_was_not_finished_takes_place_on_resuming(
    by_epoch: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy = Toy(epochs=2 if by_epoch else 0, iters=8, val_s=0, hook=dict(interval=1 if by_epoch else 4, save_best='auto'))
    usual = ToyScore.compute_metrics

    def killed(score: ToyScore, results: list) -> dict[str, float]:
        raise KeyboardInterrupt

    monkeypatch.setattr(ToyScore, 'compute_metrics', killed)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, toy)
    first = 'epoch_1' if by_epoch else 'iter_4'
    assert _names(tmp_path) == [f'{first}.pth']
    scores: list[dict[str, float]] = []

    def noted(score: ToyScore, results: list) -> dict[str, float]:
        scores.append(usual(score, results))
        return scores[-1]

    monkeypatch.setattr(ToyScore, 'compute_metrics', noted)
    monkeypatch.setattr(WholeCheckpointHook, '_remove_outdated', lambda hook: hook._outdated.clear())
    run(tmp_path, Toy(**{**vars(toy), 'resume': True}))
    assert len(scores) == 2 and f'best_toy_acc_{first}.pth' in _names(tmp_path)
    run(tmp_path, Toy(**{**vars(toy), 'resume': True}))
    assert len(scores) == 2, 'the last one was finished'


def test_a_log_on_a_full_disk_ends_the_training() -> None:
    handler = logging.FileHandler('/dev/full')
    TrainingRunner.__new__(TrainingRunner).prepare_handler(handler)
    with pytest.raises(OSError, match='No space left on device') as raised:
        handler.handle(logging.makeLogRecord({'msg': 'a line'}))
    assert raised.value.filename == '/dev/full'
