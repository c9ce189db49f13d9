"""Measuring a latency table: parts inside whole networks, fitted to whole networks and checked on others."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np

from ..benchmark.report import machine
from ..errors import UserError
from ..rows import find_row
from ..variants import ALL_VARIANTS, V1, V2, Variant
from .countdown import Countdown
from .latency import MAX_MEAN_ERROR, MIN_SPEARMAN, Conditions, Entry, LatencyTable, Unit, validate
from .space import Space
from .timing import TYPICAL, Effort, TimedNetwork, Watch, prepared

#: Widths of each stage that are measured; others lie between.
_ANCHORS = 4
#: Random networks, besides those with the parts, from whose times the step from parts to the whole is fitted.
_FITTED = 8


def measure_table(
    space: Space, conditions: Conditions, effort: Effort, note: Callable[[str], None] = lambda _: None
) -> LatencyTable:
    """Measure a table for all rows of a space, and check it.

    Args:
        space: whose widths and ratios it should cover.
        conditions: picture size, device, threads, precision.
        effort: how much is measured.
        note: told what is going on.

    Raises:
        UserError: no such device, or without this precision; other programs keep the machine busy, or networks outside
            the fit are foretold badly.
    """
    generator = random.Random(effort.seed)
    probes = probe_rows(space)
    # Probes are about as fast as each other: what parts make of whole networks shows in others.
    whole = [space.smallest.row, *(space.random(generator).row for _ in range(_FITTED + effort.networks))]
    whole += published_rows(space) if effort.networks else []
    rows, timed, countdown = [*probes, *whole], [], Countdown()
    with prepared(conditions):
        for number, row in enumerate(rows):
            note(f'Building network {number + 1} of {len(rows)}{countdown.left(number / len(rows))}')
            timed.append(TimedNetwork(row, conditions, parts=number < len(probes)))
        Watch(conditions, note).run(timed, effort, generator)
    entries = _entries(timed[: len(probes)])
    raw = LatencyTable(conditions, entries, about=f'{date.today()}, {machine()}')
    fitted, checked = timed[: len(probes) + 1 + _FITTED], timed[len(probes) + 1 + _FITTED :]
    checked, known = checked[: effort.networks], checked[effort.networks :]
    sums = [raw.predict(network.row) for network in fitted]
    scale, offset = _fit(sums, [network.typical_ms for network in fitted])
    table = replace(raw, scale=scale, offset_ms=offset)
    if not checked:
        return table
    found = validate(
        [table.predict(network.row) for network in checked],
        [network.typical_ms for network in checked],
        {
            'parameters': [network.parameters for network in checked],
            'operations': [network.operations for network in checked],
        },
    )
    if not (found.spearman >= MIN_SPEARMAN and found.mean_error <= MAX_MEAN_ERROR):
        raise UserError(
            f'The table foretells badly, and is not written. {found}; at least {MIN_SPEARMAN} and at most '
            f'{MAX_MEAN_ERROR:.0%} are asked for. Measure again on a quiet machine, with more --rounds.'
        )
    errors = {network.row.key: table.predict(network.row) / network.typical_ms - 1 for network in known}
    return replace(table, validation=replace(found, published=errors))


def published_rows(space: Space) -> list[Variant]:
    """Published networks of a space."""
    found = []
    for row in ALL_VARIANTS:
        with suppress(UserError):
            if row.family == space.family:
                space.state_of(row)
                found.append(row)
    return found


def probe_rows(space: Space) -> list[Variant]:
    """Networks that have every part of the table: all pairs of measured widths of neighbouring stages."""
    anchors = [_anchors(choices) for choices in space.widths]
    most = max(map(len, anchors))
    ratios = tuple(sorted({space.ratios[0], space.ratios[-1]}))
    attending = [count > 0 for count in space.attention]
    if space.family == V1:  # blocks that attend have nothing in common with those that do not
        blocks = tuple(ratios * 2 if attends else ratios for attends in attending)
        attention = tuple(len(ratios) if attends else 0 for attends in attending)
    else:
        blocks, attention = (ratios,) * len(attending), tuple(map(int, attending))
    rows = []
    for first in range(most):
        for step in range(most):
            widths = tuple(
                line[min((first + stage * step) % most, len(line) - 1)] for stage, line in enumerate(anchors)
            )
            arch: dict[str, Any] = dict(
                widths=widths, depths=tuple(map(len, blocks)), expansion_ratios=blocks, attention_blocks=attention
            )
            if space.family == V2:
                arch['attention_downsample'] = space.attention_downsample
            rows.append(find_row(space.family, arch))
    return list(dict.fromkeys(rows))


def _anchors(choices: Sequence[int]) -> list[int]:
    count = min(_ANCHORS, len(choices))
    return [choices[round(place)] for place in np.linspace(0, len(choices) - 1, count)]


def _entries(networks: Sequence[TimedNetwork]) -> dict[Unit, Entry]:
    times: Mapping[Unit, list[float]] = defaultdict(list)
    for network in networks:
        for unit, values in network.part_times_ms.items():
            times[unit] += values
    return {unit: _entry(values) for unit, values in sorted(times.items())}


def _entry(values: Sequence[float]) -> Entry:
    typical, low, high = np.quantile(values, [TYPICAL, 0.0, 0.75])
    return Entry(float(typical), float(low), float(high), len(values))


def _fit(sums: Sequence[float], times: Sequence[float]) -> tuple[float, float]:
    """Scale and offset by least squares of relative errors: small networks count as much as large ones."""
    weights = 1 / np.asarray(times)
    design = np.stack([np.asarray(sums), np.ones(len(sums))], axis=1) * weights[:, None]
    scale, offset = np.linalg.lstsq(design, np.ones(len(sums)), rcond=None)[0]
    return float(scale), float(offset)
