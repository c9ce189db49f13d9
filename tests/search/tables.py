"""Latency tables that nobody measured: every part takes what a formula says."""

from __future__ import annotations

import random

from effformer_dense.search.latency import Conditions, Entry, LatencyTable, Unit, units_of
from effformer_dense.search.space import Space


def cost(unit: Unit) -> float:
    """Grows with widths and ratios; attention costs most."""
    kind, stage, at = unit
    factor = {'stem': 1.0, 'down': 0.3, 'dual': 5.0, 'attention': 4.0, 'token': 3.0, 'local': 1.0}[kind]
    return factor * (1 + at[0] / 16) * (at[-1] if kind in ('local', 'token') else 1) / (stage + 1)


def made_up_table(space: Space, height: int = 64, width: int = 64) -> LatencyTable:
    """Of every part that a state of the space has."""
    states = [space.largest, *(space.random(random.Random(seed)) for seed in range(500))]
    units = {unit for state in states for unit in units_of(state.row)}
    entries = {unit: Entry(cost(unit), cost(unit), cost(unit), 1) for unit in sorted(units)}
    return LatencyTable(Conditions(space.family, height, width), entries)
