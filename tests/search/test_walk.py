"""The greedy walk, against brute force on a small space with made-up scores."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from effformer_dense.errors import UserError
from effformer_dense.search.memory import memory_of
from effformer_dense.search.networks import parameters_of
from effformer_dense.search.objective import Candidate, choose, mobile_efficiency
from effformer_dense.search.space import ACTIONS, PAPER_ACTIONS, Space, State
from effformer_dense.search.walk import (
    Record,
    Target,
    Walker,
    best_within,
    check_target,
    read_path,
    write_path,
)
from effformer_dense.variants import V2
from tests.search.spaces import small
from tests.search.tables import made_up_table


class MadeUp:
    """Scores that follow from the state, some better for smaller ones."""

    def __init__(self) -> None:
        self.stood: list[State] = []
        self.asked = 0

    def stand_at(self, state: State) -> None:
        self.stood.append(state)

    def scores(self, states, note=lambda _: None) -> list[float]:
        self.asked += len(states)
        return [score(state) for state in states]


def score(state: State) -> float:
    size = sum(state.widths) / 100 + sum(map(len, state.blocks)) / 10 + sum(state.attention) / 5
    return size + random.Random(str(state)).random() / 10


def walker(actions=tuple(ACTIONS), memory=None) -> Walker:
    space = small(V2)
    steps = partial(space.frontier, actions=actions)
    return Walker(space, made_up_table(space), MadeUp(), steps, mobile_efficiency, memory=memory)


def test_published_rows_have_their_scores_of_efficiency() -> None:
    rows = [(3.5, 0.9), (6.1, 1.1), (12.6, 1.6), (26.1, 2.7)]
    found = [mobile_efficiency(dict(params_m=size, latency_ms=ms)) for size, ms in rows]
    assert found == pytest.approx([102.9, 63.8, 30.5, 12.6], abs=0.06)
    assert mobile_efficiency(dict(latency_ms=2.0, memory_mib=400.0)) == pytest.approx(25.0)


def test_the_step_is_the_one_that_costs_least_for_its_gain() -> None:
    candidates = {1: Candidate(0.2, 10.0), 2: Candidate(0.1, 4.0), 4: Candidate(0.3, 20.0)}
    assert choose(candidates) == 4
    assert choose({**candidates, 5: Candidate(-0.1, 1.0), 6: Candidate(-0.01, 3.0)}) == 6


@pytest.mark.slow
@pytest.mark.parametrize('memory', [None, lambda row: sum(row.widths) ** 2 / 100], ids=['', 'memory'])
def test_every_step_is_the_best_of_all_by_brute_force(memory) -> None:
    walk = walker(memory=memory)
    record = walk.start()
    for number in range(8):
        step = walk.step(record, number)
        options = []
        for other in walk.space.frontier(record.state):
            row = other.state.row
            metrics = dict(params_m=parameters_of(row) / 1e6, latency_ms=walk.table.predict(row))
            if memory is not None:
                metrics['memory_mib'] = memory(row)
            gain = mobile_efficiency(metrics) - record.efficiency
            if gain > 0:
                options.append((max(record.score - score(other.state), 0) / gain, -gain, other.state))
        assert step.state == min(options, key=lambda option: option[:2])[2]
        assert step.efficiency > record.efficiency
        assert walk.scoring.stood[-1] == record.state
        record = step


def test_a_walk_goes_on_as_if_it_had_not_been_interrupted(tmp_path: Path) -> None:
    path = tmp_path / 'path.jsonl'

    def go(steps: int) -> list:
        walk = walker()
        records = read_path(path) if path.exists() else [walk.start()]
        while len(records) < steps:
            records.append(walk.step(records[-1], len(records)))
            write_path(path, records)
        return records

    go(4)
    resumed = go(9)
    path.unlink()
    assert go(9) == resumed == read_path(path)


@pytest.mark.slow
def test_actions_of_the_paper_alone() -> None:
    walk = walker(actions=PAPER_ACTIONS)
    record = walk.start()
    while (following := walk.step(record, 0)) is not None:
        record = following
    # Attention goes with its blocks alone, and attention downsampling never.
    assert record.state.attention_downsample and all(len(stage) == 1 for stage in record.state.blocks)
    least = walk.space.least(PAPER_ACTIONS)
    assert walk.table.predict(least.row) <= record.latency_ms < 1.2 * walk.table.predict(least.row)


def test_targets_below_the_smallest_network_are_refused() -> None:
    space = small(V2)
    table = made_up_table(space)
    latency, params = table.predict(space.smallest.row), parameters_of(space.smallest.row) / 1e6
    check_target(space.smallest, table, Target(latency, params))
    with pytest.raises(UserError, match=f'below the smallest network .*, which takes {latency:.1f} ms'):
        check_target(space.smallest, table, Target(0.9 * latency))
    with pytest.raises(UserError, match=f'which has {params:.2f} M'):
        check_target(space.smallest, table, Target(100.0, 0.5 * params))
    memory = memory_of(table.conditions)(space.smallest.row)
    check_target(space.smallest, table, Target(latency, params, memory))
    with pytest.raises(UserError, match=f'--memory-mib .* which needs {memory:.0f} MiB for a picture'):
        check_target(space.smallest, table, Target(latency, params, 0.9 * memory))


def test_a_target_of_memory_is_reached_when_it_is() -> None:
    record = walker(memory=lambda row: 30.0).start()
    assert json.loads(record.to_json())['memory_mib'] == 30 and Record.from_json(record.to_json()) == record
    assert Target(1e9, memory_mib=30.0).reached(record) and not Target(1e9, memory_mib=29.0).reached(record)


def test_any_point_of_a_path_can_be_taken(tmp_path: Path) -> None:
    walk = walker()
    records = [walk.start()]
    for number in range(6):
        records.append(walk.step(records[-1], number))
    wanted = records[3].latency_ms
    found = best_within(records, Target(wanted))
    assert found.latency_ms <= wanted
    assert found.score == max(r.score for r in records if r.latency_ms <= wanted)
    with pytest.raises(UserError, match=r'The path ends at .* M, and 0.01 ms, 3 M are asked for, by the table and as'):
        best_within(records, Target(0.01, params_m=3.0))
    slow = [replace(r, measured_ms=2 * wanted) if r == found else r for r in records]  # when it was timed
    other = best_within(slow, Target(wanted))
    assert other.score == max(r.score for r in records if r.latency_ms <= wanted and r != found)
    assert best_within(slow, Target(2 * wanted)).score >= found.score
    (tmp_path / 'path.jsonl').write_text('{"action": "start"}\n')
    with pytest.raises(UserError, match='is no path of a search'):
        read_path(tmp_path / 'path.jsonl')


def test_the_space_of_one_network_has_no_steps() -> None:
    only = Space.from_config(
        V2,
        dict(
            widths=((8,), (16,), (16,), (24,)),
            depths=(1,) * 4,
            ratios=(2,),
            attention=(0,) * 4,
            attention_downsample=False,
        ),
    )
    assert only.frontier(only.largest) == [] and only.largest == only.smallest
