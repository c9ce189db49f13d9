"""Latency tables: what they foretell, from files and back, and when they are refused."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from effformer_dense.benchmark.yardstick import Pace
from effformer_dense.errors import UserError
from effformer_dense.search import measuring, timing
from effformer_dense.search.latency import Conditions, LatencyTable, spearman, units_of, validate
from effformer_dense.search.space import DEFAULTS
from effformer_dense.variants import V1, V1_VARIANTS, V2, V2_VARIANTS
from tests.search.spaces import small
from tests.search.tables import cost, made_up_table


def test_a_networks_parts_are_those_that_follow_one_another() -> None:
    units = list(units_of(V2_VARIANTS['s0']))
    assert units[:3] == [('stem', 0, (32,)), ('local', 0, (32, 4)), ('local', 0, (32, 4))]
    assert units.count(('attention', 2, (96,))) == 2 and ('dual', 3, (96, 176)) in units
    assert sum(kind == 'local' for kind, _, _ in units) == sum(V2_VARIANTS['s0'].depths)
    tokens = [unit for unit in units_of(V1_VARIANTS['l3']) if unit[0] == 'token']
    assert tokens == [('token', 3, (512, 4))] * 4


@pytest.mark.parametrize('family', [V1, V2])
def test_times_of_parts_add_up_and_are_scaled(family) -> None:
    space = small(family)
    table = replace(made_up_table(space), scale=2.0, offset_ms=0.5)
    for seed in range(20):
        row = space.random(random.Random(seed)).row
        assert table.predict(row) == pytest.approx(0.5 + 2 * sum(map(cost, units_of(row))))


def test_between_measured_widths_times_are_interpolated() -> None:
    space = small(V2)
    table = made_up_table(space)
    sparse = {unit: entry for unit, entry in table.entries.items() if unit[1] != 2 or unit[2][0] != 24}
    for unit in (('attention', 2, (24,)), ('down', 3, (24, 48))):
        assert replace(table, entries=sparse)._time(unit) == pytest.approx(cost(unit))  # linear in the width
    blocks = {
        unit: replace(entry, ms=unit[2][0] ** 2 * unit[2][1] / 100)
        for unit, entry in sparse.items()
        if unit[0] == 'local'
    }
    # Blocks grow with the square of their width, which is met exactly.
    assert replace(table, entries=blocks)._time(('local', 2, (24, 2))) == pytest.approx(24**2 * 2 / 100)


def test_nothing_is_foretold_outside_of_what_was_measured() -> None:
    table = made_up_table(small(V2))
    with pytest.raises(UserError, match="'stem' of stage 1 at widths 8 to 16, not at 32"):
        table.predict(V2_VARIANTS['s0'])
    with pytest.raises(UserError, match='The table is of EfficientFormerV2, not of EfficientFormerV1'):
        table.predict(V1_VARIANTS['l1'])


def test_a_table_comes_back_from_its_file(tmp_path: Path) -> None:
    table = replace(made_up_table(small(V2)), validation=validate([1.0, 2.0], [1.1, 1.9], {'parameters': [2.0, 1.0]}))
    table.save(tmp_path / 'table.json')
    assert LatencyTable.load(tmp_path / 'table.json') == table
    (tmp_path / 'other.json').write_text('{"entries": []}')
    with pytest.raises(UserError, match='is no latency table'):
        LatencyTable.load(tmp_path / 'other.json')
    with pytest.raises(UserError, match='cannot be read'):
        LatencyTable.load(tmp_path / 'none.json')


@pytest.mark.parametrize(
    'change, said',
    [
        (dict(height=128), 'height 64 there, 128 here'),
        (dict(threads=2, device='cuda'), 'device cpu there, cuda here; threads 1 there, 2 here'),
        (dict(mode='eager'), 'mode fused there, eager here'),
    ],
)
def test_tables_of_other_conditions_are_refused_by_what_differs(change, said) -> None:
    conditions = Conditions(V2, 64, 64)
    conditions.check_equal(Conditions(V2, 64, 64), Path('t.json'))
    with pytest.raises(UserError, match=said):
        conditions.check_equal(replace(conditions, **change), Path('t.json'))


def test_validation_is_in_ranks_and_relative_errors() -> None:
    found = validate([10.0, 20.0, 33.0], [10.0, 25.0, 30.0], {'parameters': [3.0, 2.0, 1.0]})
    assert (found.spearman, found.spearman_of['parameters']) == (pytest.approx(1), pytest.approx(-1))
    assert (found.mean_error, found.worst_error) == (pytest.approx(0.1), pytest.approx(0.2))
    values = np.array([3.0, 1.0, 1.0, 2.0])
    assert spearman(values, values**3) == pytest.approx(1)
    assert spearman([1, 2, 3, 4], [1, 3, 2, 4]) == pytest.approx(0.8)


@pytest.mark.parametrize('family', [V1, V2])
def test_probes_have_every_part_of_every_state(family) -> None:
    for space in (small(family), DEFAULTS[family]):
        known = {unit for row in measuring.probe_rows(space) for unit in units_of(row)}
        known |= {('down', stage, at) for kind, stage, at in known if kind == 'dual'}  # measured inside
        table = LatencyTable(Conditions(family, 64, 64), dict.fromkeys(known, replace(_ENTRY)))
        for seed in range(50):
            assert table.predict(space.random(random.Random(seed)).row) > 0


_ENTRY = next(iter(made_up_table(small(V2)).entries.values()))


@pytest.mark.slow
@pytest.mark.parametrize('family', [V1, V2])
def test_a_measured_table_is_about_this_machine(family, monkeypatch) -> None:
    monkeypatch.setattr(measuring, 'MAX_MEAN_ERROR', 10)  # of machines that run tests, little can be expected
    monkeypatch.setattr(measuring, 'MIN_SPEARMAN', -1)
    monkeypatch.setattr(timing, 'cores_of_others', lambda *_: 0.0)
    monkeypatch.setattr(timing, '_PACE', 0.0)
    space, notes, threads = small(family), [], torch.get_num_threads()
    table = measuring.measure_table(space, Conditions(family, 64, 64), timing.Effort(2, 3), notes.append)
    assert table.validation.networks == 3 and 'torch' in table.about and notes
    assert table.predict(space.largest.row) > 1.5 * table.predict(space.smallest.row) > 0
    assert set(table.validation.spearman_of) == {'parameters', 'operations'}
    assert torch.get_num_threads() == threads  # the supernet, which is trained next, has all cores


def test_published_rows_are_checked_where_the_space_holds_them() -> None:
    assert [row.key for row in measuring.published_rows(DEFAULTS[V1])] == ['v1_l1', 'v1_l3', 'v1_l7']
    assert len(measuring.published_rows(DEFAULTS[V2])) == 4 and measuring.published_rows(small(V2)) == []
    found = replace(validate([1, 2], [1, 2], {}), published={'v2_s0': -0.031})
    assert str(found).endswith('worst 0.0%; published rows: v2_s0 -3.1%')


@pytest.mark.slow
def test_a_busy_machine_is_refused(monkeypatch) -> None:
    monkeypatch.setattr(timing, 'cores_of_others', lambda *_: 1.0)
    with pytest.raises(UserError, match=r'busy: other programs keep 1\.00 cores busy, in 4 rounds'):
        timing.measure_rows([small(V2).smallest.row], Conditions(V2, 64, 64), timing.Effort(1))


def test_rounds_that_prove_to_have_been_slow_are_repeated(monkeypatch) -> None:
    """The machine doubles its pace in the third round: of the first two nothing is kept."""
    monkeypatch.setattr(timing, 'cores_of_others', lambda *_: 0.0)
    paces, taken = [1.0, 1.0, 2.0, 1.9, 1.0, 2.0], []

    class Scripted:
        def __init__(self) -> None:
            self.times_ms, self.part_times_ms = [], {('stem', 0, (8,)): []}

        def measure(self) -> None:
            taken.append(len(taken))
            for times in (self.times_ms, *self.part_times_ms.values()):
                times.append(taken[-1])

        keep = timing.TimedNetwork.keep

    watch, network = timing.Watch(Conditions(V2, 64, 64), lambda _: None), Scripted()
    monkeypatch.setattr(watch._yardstick, 'pace', lambda: Pace(paces.pop(0), 1.0))
    watch.run([network], timing.Effort(3), random.Random(0))
    assert network.times_ms == network.part_times_ms['stem', 0, (8,)] == [4, 5, 7] and not paces  # after two warm-ups
    paces[:] = [1.0] + 7 * [0.5]
    with pytest.raises(UserError, match='it reaches 50% of the pace that it had, in 7 rounds'):
        watch.run([Scripted()], timing.Effort(2), random.Random(0))


@pytest.mark.slow
def test_a_table_that_foretells_badly_is_refused(monkeypatch) -> None:
    monkeypatch.setattr(timing, 'cores_of_others', lambda *_: 0.0)
    monkeypatch.setattr(timing, '_PACE', 0.0)
    monkeypatch.setattr(measuring, 'MAX_MEAN_ERROR', 1e-9)
    with pytest.raises(UserError, match='foretells badly, and is not written'):
        measuring.measure_table(small(V2), Conditions(V2, 64, 64), timing.Effort(1, 2))
