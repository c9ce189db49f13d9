"""Walks in one supernet by tables of different picture sizes, to one latency at the second of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ...errors import UserError
from ...search.latency import Conditions, LatencyTable
from ...search.measuring import measure_table
from ...search.methods import JOINT
from ...search.space import Space, State
from ...search.timing import Effort, measure_rows
from ...search.training import make_scorer
from ...search.walk import Record, Walker, read_path, write_path
from .kept import kept
from .searched import Note, Searched
from .settings import Settings


@dataclass(frozen=True)
class TableWalk:
    """Where a walk by a table came to.

    Attributes:
        name: of the network, by the table that led to it.
        state: the network.
        table_ms: its latency where it counts, by the table of that size.
        latency_ms: the same, measured in turns with that of the other walk's network.
        score: in the supernet.
    """

    name: str
    state: State
    table_ms: float
    latency_ms: float
    score: float


def table_walks(settings: Settings, folder: Path, searched: Searched, note: Note) -> list[TableWalk]:
    """Walks by the tables of both sizes, unless that was done."""
    return kept(folder / 'walks.json', TableWalk, partial(_walks, settings, folder, searched, note))


def _walks(settings: Settings, folder: Path, searched: Searched, note: Note) -> list[TableWalk]:
    tables = [_table(settings, folder, searched.space, size, note) for size in settings.table_sizes]
    ends = _walk_by_each(settings, folder, searched, tables, note)
    times = measure_rows([end.state.row for end in ends], tables[1].conditions, Effort(settings.rounds), note)
    return [
        TableWalk(f'by table {height}x{width}', end.state, tables[1].predict(end.state.row), latency_ms, end.score)
        for (height, width), end, latency_ms in zip(settings.table_sizes, ends, times, strict=True)
    ]


def _table(settings: Settings, folder: Path, space: Space, size: tuple[int, int], note: Note) -> LatencyTable:
    place = folder / f'table_{size[0]}x{size[1]}.json'
    if not place.exists():
        conditions = Conditions(space.family, *size)
        measure_table(space, conditions, Effort(settings.rounds), note).save(place)
    return LatencyTable.load(place)


def _walk_by_each(
    settings: Settings, folder: Path, searched: Searched, tables: Sequence[LatencyTable], note: Note
) -> list[Record]:
    """Ends of walks in one supernet by each table, to one target by the second."""
    scorer = make_scorer(searched.job, searched.task, searched.space, note)
    target = settings.table_share * tables[1].predict(searched.space.largest.row)
    ends = []
    for table in tables:
        walker = JOINT.walker(searched.space, table, scorer, searched.job.search, note)
        size = table.conditions
        path = folder / f'path_{size.height}x{size.width}.jsonl'
        ends.append(_walk(walker, path, lambda state: tables[1].predict(state.row) <= target, note))
    return ends


def _walk(walker: Walker, path: Path, arrived: Callable[[State], bool], note: Note) -> Record:
    records = read_path(path) if path.exists() else [walker.start()]
    while not arrived(records[-1].state):
        following = walker.step(records[-1], len(records))
        if following is None:
            raise UserError(f'The walk of {path} ends at {records[-1].latency_ms:.1f} ms. Take a larger table_share.')
        records.append(following)
        write_path(path, records)
        note(f'{path.stem}, {len(records) - 1}: {records[-1].action}')
    return records[-1]
