"""The study of the search: rivals, what is computed of scores, and all parts in small."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

pytest.importorskip('mmseg')

from effformer_dense.errors import UserError
from effformer_dense.search import run as search_run
from effformer_dense.search.space import Space
from effformer_dense.studies import trainings
from effformer_dense.studies.search import run as study
from effformer_dense.studies.search import walks
from effformer_dense.studies.search.report import Scores, kendall
from effformer_dense.studies.search.rivals import find_rivals, shrunk_states
from effformer_dense.studies.search.settings import QUICK
from effformer_dense.variants import V2, Variant
from tests.search.spaces import small
from tests.search.tables import made_up_table


def test_rivals_have_the_measured_latency_of_the_found_network() -> None:
    space = small(V2)
    table = made_up_table(space)
    found = next(state for state in shrunk_states(space) if state != space.largest)

    def measure(rows: Sequence[Variant]) -> list[float]:
        """The table errs: every other network takes a twentieth more."""
        return [table.predict(row) * (1 + 0.05 * (index % 2)) for index, row in enumerate(rows)]

    rivals = find_rivals(space, table, found, 3, 0.02, measure)
    assert [rival.name for rival in rivals] == ['found', 'shrunk', 'random 1', 'random 2', 'random 3']
    randoms = rivals[2:]
    assert all(abs(rival.ratio - 1) <= 0.02 for rival in randoms)
    assert len({rival.state for rival in randoms} | {found}) == 4  # none twice, and not the found one
    with pytest.raises(UserError, match='random networks of 500 have the latency of the found one within 2%'):
        find_rivals(space, table, found, 500, 0.02, measure)


def test_a_shrunk_network_has_one_factor_for_all_stages_and_one_ratio() -> None:
    space = Space.from_config(V2)
    states = list(shrunk_states(space))
    assert space.largest in states
    for state in states:
        space.check_state(state)
        assert len({block.ratio for stage in state.blocks for block in stage}) == 1
        shares = [len(stage) / depth for stage, depth in zip(state.blocks, space.depths, strict=True)]
        assert max(shares) - min(shares) <= 0.2  # a fifth: one block of the shallowest stage
        assert state.row.depths == tuple(map(len, state.blocks))


def test_kendalls_tau_counts_pairs() -> None:
    rng = np.random.default_rng(0)
    pairs = rng.normal(size=(9, 2))
    signs = [np.sign((a[0] - b[0]) * (a[1] - b[1])) for a, b in combinations(pairs, 2)]
    assert kendall(pairs) == pytest.approx(np.mean(signs))
    assert kendall(np.array([(1, 2), (2, 5), (3, 9)])) == 1.0
    assert kendall(np.array([(1, 2), (1, 5), (2, 1)])) == pytest.approx(-2 / np.sqrt(2 * 3))  # tau-b: one tie
    assert kendall(np.array([(1, 2), (1, 5)])) == 0.0


def test_differences_are_of_means_and_know_what_they_rest_on() -> None:
    trained = {'found': [0.7, 0.7, 0.7], 'random 1': [0.5, 0.5, 0.5], 'random 2': [0.6, 0.6, 0.6], 'even': [0.65] * 3}
    scores = Scores(trained, {}, resamples=500)
    sure = scores.difference(['found'], ['even'])
    assert sure.low == pytest.approx(sure.mean) == pytest.approx(sure.high) == pytest.approx(0.05)
    found = scores.difference(['found'], ['random 1', 'random 2'])
    assert found.mean == pytest.approx(0.15)
    assert found.low == pytest.approx(0.1) and found.high == pytest.approx(0.2)  # either of the two networks twice


@pytest.mark.slow
def test_every_part_and_on_after_an_interruption(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Latencies are made up: machines that run tests are busy."""
    tables = {}

    def measure_table(space, conditions, *_):
        key = conditions.height, conditions.width
        return tables.setdefault(key, made_up_table(space, *key))

    for module in (search_run, walks):
        monkeypatch.setattr(module, 'measure_table', measure_table)
    for module in (search_run, walks, study):
        monkeypatch.setattr(module, 'measure_rows', lambda rows, *_, **__: [tables[64, 64].predict(r) for r in rows])
    settings = replace(QUICK, seeds=1, latency_share=0.85, path_states=2)
    folder = tmp_path / 'study'
    results = study.run(settings, folder, note=lambda _: None)
    assert json.loads((folder / 'results.json').read_text())['kendall'] == results['kendall']
    assert {path.name for path in folder.iterdir()} >= {'results.json', 'tables.md', 'scores.png', 'rivals.json'}
    names = [row['name'] for row in results['networks'] + results['walks']]
    assert names == ['found', 'shrunk', 'random 1', 'random 2', 'by table 64x64', 'by table 64x96']
    assert [state['name'] for state in results['states']] == ['state 0', 'found', *names[-2:]]
    assert all(len(row['scores']) == 1 and 0 <= row['scores'][0] <= 1 for row in results['networks'])
    assert not list((folder / 'trainings').rglob('*.pth'))
    # Again: nothing is trained or measured but what was lost, with the same result.
    lost = folder / 'trainings' / 'random_2_0' / 'score.json'
    lost.unlink()
    with mock.patch.object(trainings, 'train', wraps=trainings.train) as trained:
        assert study.run(settings, folder, note=lambda _: None) == results
    assert trained.call_count == 1
