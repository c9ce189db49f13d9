"""Contenders take turns, and their figures belong together."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import pytest

from effformer_dense.benchmark import rounds
from effformer_dense.benchmark.cases import Case, make_groups
from effformer_dense.benchmark.contender import Ready, TooLargeError, Turn, Worker, contend
from effformer_dense.benchmark.report import run
from effformer_dense.benchmark.rounds import Spread, measure_group, spread
from effformer_dense.benchmark.yardstick import Pace, Work
from effformer_dense.errors import UserError
from effformer_dense.options import BenchmarkOptions
from tests.helpers import PROJECT_ROOT


def test_ratios_are_of_the_same_round(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that halves its pace in the second round: ratios and shares do not notice."""
    pace_of_round = [9.0, 1.0, 2.0, 1.0]  # the first round only wakes up
    asked = []

    class Scripted:
        def __init__(self, target: Callable, case: Case, name: str) -> None:
            self.name = case.mode if target is contend else 'yardstick'
            self.first = Ready(7, 1.0) if target is contend else Work(1e9, 2e9)
            self.round = 0

        def ask(self) -> object:
            slow = pace_of_round[self.round]
            self.round += 1
            asked.append(self.name)
            if self.name == 'yardstick':
                return Pace(1e9 / slow, 1e9 / slow), 0.0
            return Turn({'fused': 5.0, 'eager': 10.0}[self.name] * slow, 0.0, {'backbone': slow})

        def __enter__(self) -> Scripted:
            return self

        def __exit__(self, *_: object) -> None: ...

    monkeypatch.setattr(rounds, 'Worker', Scripted)
    cases = [Case('v2_s0', 64, 64, batch=2, mode=mode) for mode in ('fused', 'eager')]
    fused, eager = measure_group(cases, 3, None)
    assert asked == ['yardstick', 'fused', 'eager', 'yardstick', 'eager', 'fused'] * 2
    assert eager.ratio == (2, 2, 2) and eager.reference == 'fused' and fused.ratio == (1, 1, 1)
    assert fused.share.median == pytest.approx(0.6) and fused.share.low == pytest.approx(fused.share.high)
    assert fused.times_ms == [5000, 10000, 5000] and fused.median_ms == 5000
    assert fused.images_per_s == pytest.approx(2 / 5)
    assert (fused.parameters, fused.peak_mib, fused.parts_ms) == (7, 1.0, {'backbone': 1.0})
    assert measure_group(cases, 3, 'eager')[0].ratio.median == 0.5


class _Small:
    """A worker on a machine without the memory for two contenders besides the reference, or for ``huge`` at all."""

    held: ClassVar[list[str]] = []

    def __init__(self, target: Callable, case: Case, name: str) -> None:
        self.name = name
        self.first = Ready(7, 1.0) if target is contend else Work(1e9, 2e9)
        if target is contend:
            if case.mode == 'timm' or len(self.held) == 2:
                raise TooLargeError(name, 'its process was ended')
            self.held.append(name)

    def ask(self) -> object:
        slow = {'fused': 1.0, 'eager': 2.0, 'onnx': 3.0}
        return (Pace(1e9, 1e9), 0.0) if self.name == 'The yardstick' else Turn(slow[self.name.split()[1]], 0.0)

    def __enter__(self) -> _Small:
        return self

    def __exit__(self, *_: object) -> None:
        if self.name in self.held:
            self.held.remove(self.name)


@pytest.mark.parametrize('in_pairs', [False, True])
def test_pairs_measure_what_does_not_fit_together(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture, in_pairs: bool
) -> None:
    monkeypatch.setattr(rounds, 'Worker', _Small)
    group = [Case('v2_s0', 64, 64, mode=mode) for mode in ('eager', 'fused', 'timm', 'onnx')]
    _Small.held.clear()
    found = run([group], 2, 'fused', tmp_path, in_pairs=in_pairs)
    assert [(m.case.mode, m.ratio.median, m.reference) for m in found] == [
        ('fused', 1.0, 'fused'), ('eager', 2.0, 'fused'), ('onnx', 3.0, 'fused'),
    ]  # fmt: skip
    left_out = 'v2_s0 timm 1x64x64, 1 thread: takes more memory than there is.'
    assert json.loads((tmp_path / 'benchmark.json').read_text())['left_out'] == [left_out]
    assert left_out in capsys.readouterr().out and left_out in (tmp_path / 'benchmark.md').read_text()
    alone = run([[group[1], group[2]]], 2, None, tmp_path, in_pairs=True)
    assert [m.case.mode for m in alone] == ['fused']
    with pytest.raises(UserError, match='timm takes more memory'):
        run([group], 2, 'timm', tmp_path, in_pairs=True)


def test_spread_is_median_and_quartiles() -> None:
    assert spread([1.0, 2.0, 3.0, 4.0, 5.0]) == Spread(3, 2, 4)
    assert spread([2.0]) == Spread(2, 2, 2)


def test_a_contender_steps_and_tells() -> None:
    ready, turn = contend(Case('v2_s0', 64, 96, batch=2, mode='fused'))
    first, second = turn(), turn()
    assert ready.parameters == 3_245_904
    assert ready.peak_mib is None or ready.peak_mib < 500
    assert first.seconds > 0 and second.cpu_s > first.cpu_s


def _out_of_memory(_: object) -> tuple[None, Callable[[], None]]:
    raise RuntimeError('DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes')


def _another_error(_: object) -> tuple[None, Callable[[], None]]:
    raise UserError('no such thing')


class _Unsendable(Exception):
    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.held = lambda: None


def _unsendable(_: object) -> tuple[None, Callable[[], None]]:
    raise _Unsendable('no compiler')


def _leaves(_: object) -> tuple[None, Callable[[], None]]:
    os._exit(3)


def _is_killed(_: object) -> tuple[None, Callable[[], None]]:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


@pytest.mark.slow
def test_errors_of_a_contender_reach_the_user() -> None:
    with pytest.raises(UserError, match='_Unsendable: no compiler'):
        Worker(_unsendable, None, 'v2_l compiled')
    with pytest.raises(UserError, match='v2_l eager: its process has ended, with status 3'):
        Worker(_leaves, None, 'v2_l eager')
    with pytest.raises(TooLargeError, match='takes more memory than there is: its process was ended'):
        Worker(_is_killed, None, 'v2_l eager')
    with pytest.raises(UserError, match=r'v2_l eager takes more memory than there is: DefaultCPU.*a smaller size'):
        Worker(_out_of_memory, None, 'v2_l eager')
    with pytest.raises(UserError, match='no such thing'):
        Worker(_another_error, None, 'v2_l eager')


_SCRIPT = """
import os, time
from effformer_dense.benchmark.contender import Worker
from tests.benchmark.test_rounds import sleeper
if __name__ == '__main__':
    worker = Worker(sleeper, None, 'sleeper')
    print(worker.first, flush=True)
    worker.ask()
"""


def sleeper(_: object) -> tuple[int, Callable[[], None]]:
    return os.getpid(), lambda: time.sleep(60)


@pytest.mark.slow
@pytest.mark.skipif(not Path('/proc/self').exists(), reason='looks for processes in /proc')
def test_measuring_ends_with_a_killed_benchmark(tmp_path: Path) -> None:
    script = tmp_path / 'script.py'
    script.write_text(_SCRIPT)
    environment = {**os.environ, 'PYTHONPATH': str(PROJECT_ROOT)}
    with subprocess.Popen(
        [sys.executable, script], stdout=subprocess.PIPE, text=True, cwd=PROJECT_ROOT, env=environment
    ) as parent:
        child = int(parent.stdout.readline())
        assert _runs(child)
        parent.kill()
    deadline = time.monotonic() + 20
    while _runs(child) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not _runs(child)


def _runs(process: int) -> bool:
    try:
        status = Path(f'/proc/{process}/status').read_text()
    except FileNotFoundError:
        return False
    return '\nState:\tZ' not in status  # ended, waiting for somebody to ask how


@pytest.mark.slow
def test_parts_of_a_whole_model_are_all_of_it_but_a_rest() -> None:
    pytest.importorskip('mmseg')
    ready, turn = contend(Case(str(PROJECT_ROOT / 'configs' / 'semfpn_v2_s0_shapes.py'), 128, 128, mode='eager'))
    first, second = turn(), turn()
    for taken in (first, second):
        assert set(taken.parts_ms) == {'data_preprocessor', 'backbone', 'neck', 'decode_head'}
        assert 0.7 * 1e3 * taken.seconds < sum(taken.parts_ms.values()) <= 1e3 * taken.seconds
    assert ready.parameters > 3_000_000


@pytest.mark.slow
def test_a_run_writes_tables_and_plot(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    pytest.importorskip('timm')
    groups = make_groups(['v2_s0'], [(1, 64, 96)], ['fused', 'timm'], BenchmarkOptions(threads=(1,)))
    run(groups, 2, None, tmp_path / 'out', 'effdense benchmark v2_s0')
    content = json.loads((tmp_path / 'out' / 'benchmark.json').read_text())
    assert content['command'] == 'effdense benchmark v2_s0'
    assert [row['contender'] for row in content['rows']] == ['fused', 'timm']
    for row in content['rows']:
        assert len(row['times_ms']) == 2 and row['floor_ms'] > 0 and row['share'][0] > 0
        assert row['floor_ms'] == pytest.approx(
            2 * row['gmacs'] / row['gflops'] * 1e3 + row['traffic_mb'] / row['gb_per_s'], rel=0.5
        )  # medians of quotients are not quotients of medians
    text = (tmp_path / 'out' / 'benchmark.md').read_text()
    assert '| time / fused |' in text and '`effdense benchmark v2_s0`' in text
    assert (tmp_path / 'out' / 'benchmark.png').read_bytes().startswith(b'\x89PNG')
    assert 'timm' in capsys.readouterr().out
