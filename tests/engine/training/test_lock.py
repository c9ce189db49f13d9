"""A work dir has one training at a time."""

from __future__ import annotations

import re
import signal
import socket
from pathlib import Path

import pytest

from effformer_dense.engine.training.lock import work_dir_in_use
from effformer_dense.errors import UserError
from effformer_dense.locks import HeldError, locked

from .toy import Toy, run, started


def test_another_training_of_this_process(tmp_path: Path) -> None:
    with work_dir_in_use(tmp_path), pytest.raises(UserError, match='Another training of this process writes to'):
        run(tmp_path, Toy())
    with work_dir_in_use(tmp_path):
        pass


def test_what_is_empty_at_the_end_was_never_there(tmp_path: Path) -> None:
    with work_dir_in_use(tmp_path / 'a' / 'b'):
        assert (tmp_path / 'a' / 'b' / '.lock').is_file()
    assert list(tmp_path.iterdir()) == []
    with work_dir_in_use(tmp_path / 'a' / 'b'):
        (tmp_path / 'a' / 'b' / 'log').touch()
    assert [path.name for path in tmp_path.rglob('*')] == ['a', 'b', 'log']


def test_a_lock_file_of_the_dead_is_no_hindrance(tmp_path: Path) -> None:
    (tmp_path / '.lock').write_text('{"pid": 1, "host": "x", "since": "ever"}')
    with work_dir_in_use(tmp_path):
        pass


@pytest.mark.slow
def test_a_live_training_refuses_a_second_one_and_a_dead_one_does_not(tmp_path: Path) -> None:
    toy = Toy(epochs=50, workers=1, step_s=0.2)
    with started(tmp_path, toy) as first:
        first.wait_for('[1][2/4]')
        before = sorted(path.name for path in tmp_path.iterdir())
        message = (
            rf'{re.escape(str(tmp_path))} is in use by a training that is still running: process {first.process.pid} '
            rf'on {re.escape(socket.gethostname())}, since 20\d\d-.*--work-dir'
        )
        with pytest.raises(UserError, match=message):
            run(tmp_path, Toy())
        with pytest.raises(HeldError), locked(tmp_path / '.lock', wait=False):
            pass
        assert sorted(path.name for path in tmp_path.iterdir()) == before
        first.send(signal.SIGKILL)  # its worker lives on for a while
        first.process.wait()
        run(tmp_path, Toy())


@pytest.mark.slow
def test_of_two_started_together_one_trains(tmp_path: Path) -> None:
    toy = Toy(epochs=1, step_s=1.0)
    with started(tmp_path, toy) as one, started(tmp_path, toy) as other:
        ends = [one.end(), other.end()]
    assert sorted(status for status, _ in ends) == [0, 2], ends
    assert 'is in use by a training' in next(told for status, told in ends if status == 2)
