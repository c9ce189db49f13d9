"""The bar: what is taken passes unchanged, and only a terminal sees more."""

from __future__ import annotations

import io
import subprocess
import sys
from types import SimpleNamespace

import pytest

from effformer_dense.inference import progress
from effformer_dense.inference.progress import track
from tests.helpers import PROJECT_ROOT


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> _Terminal:
    terminal = _Terminal()
    monkeypatch.setattr(progress, 'sys', SimpleNamespace(stderr=terminal))
    monkeypatch.setattr(progress, '_INTERVAL_S', 0)
    return terminal


def _last(text: str) -> str:
    return text.split(progress._ERASE_LINE)[-1]


def test_bar_fills(terminal: _Terminal) -> None:
    things = track('abcd', 'Eating', 4)
    assert [next(things), next(things), next(things)] == ['a', 'b', 'c']
    assert _last(terminal.getvalue()).startswith(f'Eating [{"#" * 15}{" " * 15}] 2/4, 0:00:00 left')
    assert list(things) == ['d']
    assert _last(terminal.getvalue()) == f'Eating [{"#" * 30}] 4/4\n'


def test_without_a_total_the_pace_is_told(terminal: _Terminal) -> None:
    assert list(track(iter('abc'), 'Watching')) == ['a', 'b', 'c']
    assert _last(terminal.getvalue()).startswith('Watching 3 (') and terminal.getvalue().endswith('/s)\n')


def test_a_transient_bar_goes_and_errors_come_through(terminal: _Terminal) -> None:
    assert list(track('ab', 'Checking', 2, transient=True)) == ['a', 'b']
    assert _last(terminal.getvalue()) == ''
    with pytest.raises(ZeroDivisionError):
        list(track((1 // n for n in (1, 0)), 'Dividing', 2))
    assert _last(terminal.getvalue()).startswith('Dividing [') and '1/2' in _last(terminal.getvalue())


def test_no_terminal_sees_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(track('ab', 'Checking', 2)) == ['a', 'b']
    assert capsys.readouterr() == ('', '')


def test_no_package_for_terminals_is_loaded() -> None:
    """Exported models run where only the extra `runtime` is."""
    script = (
        'import sys, effformer_dense.commands.cli, effformer_dense.commands.infer, effformer_dense.inference.run; '
        'import effformer_dense.runtime; print([name for name in ("rich", "torch", "mmengine") if name in sys.modules])'
    )
    done = subprocess.run([sys.executable, '-c', script], capture_output=True, text=True, cwd=PROJECT_ROOT)
    assert done.stdout.strip() == '[]', done.stderr
