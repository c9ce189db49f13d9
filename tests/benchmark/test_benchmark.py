"""The benchmark measures what it says."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from effformer_dense.benchmark.cases import Case, make_cases
from effformer_dense.benchmark.measure import GEMM_SIDE, _count_flops, measure
from effformer_dense.benchmark.report import run
from tests.helpers import PROJECT_ROOT


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(models=['v2_s9']), 'v2_s0'),
        (dict(models=['nothing.py']), 'nothing.py is not there'),
        (dict(sizes=[(16, 800)]), 'Both sides must be 32 to 65,535 px; got 16x800'),
        (dict(modes=['fused'], train=True), '--modes eager compiled'),
        (dict(with_cp=True), '--with-cp .* needs --train'),
        (dict(against_timm=True), '--sizes 224'),
        (dict(device='cuda:99'), '--device cuda:99 cannot be used'),
    ],
)
def test_what_cannot_be_measured_is_refused_first(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_cases(**{**dict(models=['v2_s0'], sizes=[(64, 64)], modes=['eager'], against_timm=False), **options})


def test_cases_are_all_combinations_with_timm_at_its_size() -> None:
    cases = make_cases(['v2_s0', 'v1_l1'], [(224, 224), (64, 96)], ['eager', 'fused'], True, batch=2)
    assert len(cases) == 2 * (2 * 2 + 1)
    assert [(c.model, c.height) for c in cases if c.library == 'timm'] == [('v2_s0', 224), ('v1_l1', 224)]
    assert all(c.batch == 2 for c in cases)


@pytest.mark.parametrize(('model', 'published'), [('v2_s0', 0.40), ('v1_l1', 1.3)])
def test_operations_are_those_of_the_papers(model: str, published: float) -> None:
    """Table 1 of arXiv 2212.08059 and 2206.01191, at 224 px, the classifier left out."""
    assert _count_flops(Case(model, 224, 224)) / 2e9 == pytest.approx(
        published, rel=0.012
    )  # 0.989 and 0.993 of it were seen


def test_a_training_step_counts_as_three_forward_passes() -> None:
    forward, step = (_count_flops(Case('v2_s0', 96, 96, train=train)) for train in (False, True))
    assert step == 3 * forward


def test_chunks_count_as_the_whole() -> None:
    """At 640 px attention is computed in several chunks, in place; each product must be counted once."""
    tokens, half, heads = 20 * 20, 20 * 20 * 4, 8
    scores = 4 * heads * tokens * tokens * (32 + 128 + 2 * heads) + heads * tokens * half * (16 + 64)
    linear = (_count_flops(Case('v2_s0', 32, 32)) / 2 - 4 * heads * (32 + 128 + 2 * heads) - heads * 4 * 80) * 400
    assert _count_flops(Case('v2_s0', 640, 640)) / 2 == pytest.approx(
        linear + scores, rel=0.003
    )  # 0.998 of it was seen


def test_figures_belong_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(GEMM_SIDE, 'cpu', 512)  # a rate all the same, in less time
    m = measure(Case('v2_s0', 96, 128, batch=2, repeats=3, mode='fused'))
    assert m.fastest_ms <= m.median_ms <= m.slowest_ms
    assert m.images_per_s == pytest.approx(2e3 / m.median_ms)
    assert m.gflop_equivalent == pytest.approx(m.median_ms / 1e3 * m.gemm_gflops)
    assert m.share == pytest.approx(2 * m.gmacs / m.gflop_equivalent)
    assert m.parameters == 3_245_904
    assert m.peak_mib is None or m.peak_mib < 500


_SCRIPT = """
import multiprocessing, os, time
from concurrent.futures import ProcessPoolExecutor
from effformer_dense.benchmark.report import _end_with_parent
if __name__ == '__main__':
    pool = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context('spawn'), initializer=_end_with_parent)
    print(pool.submit(os.getpid).result(), flush=True)
    pool.submit(time.sleep, 60).result()
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path('/proc/self').exists(), reason='looks for processes in /proc')
def test_measuring_ends_with_a_killed_benchmark(tmp_path: Path) -> None:
    script = tmp_path / 'script.py'
    script.write_text(_SCRIPT)
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True, cwd=PROJECT_ROOT) as parent:
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
def test_a_run_writes_table_and_plot(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    pytest.importorskip('timm')
    cases = make_cases(['v2_s0'], [(224, 224)], ['eager'], True, repeats=2)
    run(cases, tmp_path / 'out')
    rows = json.loads((tmp_path / 'out' / 'benchmark.json').read_text())['rows']
    assert [row['case']['library'] for row in rows] == ['timm', 'effformer_dense']
    assert (tmp_path / 'out' / 'benchmark.png').read_bytes().startswith(b'\x89PNG')
    assert 'v2_s0 (timm)' in capsys.readouterr().out
