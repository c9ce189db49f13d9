"""Measuring a latency table: parts inside whole fused networks, in shuffled rounds, watched for other work."""

from __future__ import annotations

import random
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import numpy as np
import torch
from torch import nn

from ..allocator import keep_freed_memory
from ..benchmark.cases import PRECISIONS
from ..benchmark.others import DISTURBED_CORES, Clock, cores_of_others
from ..benchmark.report import machine
from ..benchmark.work import count_operations
from ..benchmark.yardstick import Yardstick, synchronize
from ..deploy import fuse
from ..errors import UserError
from ..rows import find_row
from ..variants import ALL_VARIANTS, V1, V2, Variant
from .latency import MAX_MEAN_ERROR, MIN_SPEARMAN, Conditions, Entry, LatencyTable, Unit, validate
from .networks import build_backbone
from .space import Space

#: Widths of each stage that are measured; others lie between.
_ANCHORS = 4
#: Quantile of times that stands for a network and for a part: what disturbs them makes them slower, never faster.
_TYPICAL = 0.25
#: In its turn, a network runs for so long, and at most so often: single runs of small ones say little.
_TURN_MS, _MOST_RUNS = 100, 9
#: Random networks, besides those with the parts, from whose times the step from parts to the whole is fitted.
_FITTED = 8
#: A round whose pace is below this share of the best one's is repeated.
_PACE = 0.9
#: Rounds may be repeated so often, as multiples of those that are wanted.
_PATIENCE = 3


@dataclass(frozen=True)
class Effort:
    """How much is measured.

    Attributes:
        rounds: in each, every network is timed once.
        networks: outside the fit, for validation.
        seed: of their choice, and of orders.
    """

    rounds: int = 7
    networks: int = 12
    seed: int = 0


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
        UserError: other programs keep the machine busy, or networks outside the fit are foretold badly.
    """
    generator = random.Random(effort.seed)
    probes = probe_rows(space)
    # Probes are about as fast as each other: what parts make of whole networks shows in others.
    whole = [space.smallest.row, *(space.random(generator).row for _ in range(_FITTED + effort.networks))]
    whole += published_rows(space) if effort.networks else []
    timed = []
    with _prepared(conditions):
        for number, row in enumerate([*probes, *whole], 1):
            note(f'Building network {number} of {len(probes) + len(whole)}')
            timed.append(TimedNetwork(row, conditions, parts=number <= len(probes)))
        _Watch(conditions, note).run(timed, effort, generator)
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
    if found.spearman < MIN_SPEARMAN or found.mean_error > MAX_MEAN_ERROR:
        raise UserError(
            f'The table foretells badly, and is not written. {found}; at least {MIN_SPEARMAN} and at most '
            f'{MAX_MEAN_ERROR:.0%} are asked for. Measure again on a quiet machine, with more --rounds.'
        )
    errors = {network.row.key: table.predict(network.row) / network.typical_ms - 1 for network in known}
    return replace(table, validation=replace(found, published=errors))


def measure_rows(
    rows: Sequence[Variant], conditions: Conditions, effort: Effort, note: Callable[[str], None] = lambda _: None
) -> list[float]:
    """Times of whole networks, in ms, from rounds in which they take turns.

    Raises:
        UserError: other programs keep the machine busy.
    """
    with _prepared(conditions):
        timed = [TimedNetwork(row, conditions, parts=False) for row in rows]
        _Watch(conditions, note).run(timed, effort, random.Random(effort.seed))
    return [network.typical_ms for network in timed]


@contextmanager
def _prepared(conditions: Conditions) -> Iterator[None]:
    """As many threads as the conditions name; afterwards those that were, for what is trained next."""
    if conditions.mode != 'fused':
        raise UserError(f'Tables are measured of fused networks, not of {conditions.mode!r}.')
    threads = torch.get_num_threads()
    if conditions.device == 'cpu':
        keep_freed_memory()
        torch.set_num_threads(conditions.threads)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


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


class TimedNetwork:
    """A fused network that tells how long it takes, and its parts.

    Args:
        row: the network.
        conditions: picture size, device, precision.
        parts: whether parts are timed as well.
    """

    def __init__(self, row: Variant, conditions: Conditions, parts: bool) -> None:
        self.row = row
        self.times_ms: list[float] = []
        self.part_times_ms: dict[Unit, list[float]] = defaultdict(list)
        self._round: dict[Unit, list[float]] = defaultdict(list)
        torch.manual_seed(0)
        backbone = build_backbone(row).to(conditions.device).eval()
        self._device = conditions.device
        self.images = torch.randn(1, 3, conditions.height, conditions.width, device=conditions.device)
        self.parameters = sum(parameter.numel() for parameter in backbone.parameters())
        self.operations = operations_of(row, (conditions.height, conditions.width))
        self.network = fuse(backbone, conditions.precision)
        if parts:
            for unit, module in parts_of(self.network, row):
                self._time(module, unit)

    def _time(self, module: nn.Module, unit: Unit) -> None:
        started = []

        def begin(_module: nn.Module, _inputs: object) -> None:
            synchronize(self._device)
            started.append(time.perf_counter())

        def end(_module: nn.Module, _inputs: object, _output: object) -> None:
            synchronize(self._device)
            self._round[unit].append(1e3 * (time.perf_counter() - started.pop()))

        module.register_forward_pre_hook(begin)
        module.register_forward_hook(end)

    @torch.inference_mode()
    def measure(self) -> None:
        """Run for a while, and remember the medians."""
        self._round.clear()
        times: list[float] = []
        while not times or (sum(times) < _TURN_MS and len(times) < _MOST_RUNS):
            synchronize(self._device)
            start = time.perf_counter()
            self.network(self.images)
            synchronize(self._device)
            times.append(1e3 * (time.perf_counter() - start))
        self.times_ms.append(statistics.median(times))
        for unit, values in self._round.items():
            self.part_times_ms[unit].append(statistics.median(values))

    def forget(self, rounds: int) -> None:
        """Keep the first so many rounds."""
        for times in (self.times_ms, *self.part_times_ms.values()):
            del times[rounds:]

    @property
    def typical_ms(self) -> float:
        """Lower quartile over rounds."""
        return float(np.quantile(self.times_ms, _TYPICAL))


def parts_of(network: Any, row: Variant) -> Iterator[tuple[Unit, nn.Module]]:
    """Modules of a fused backbone, by what they are in the table."""
    yield ('stem', 0, (row.widths[0],)), network.stem
    for index, stage in enumerate(network.stages):
        width = row.widths[index]
        if index:
            at = (row.widths[index - 1], width)
            dual = row.family == V2 and index == 3 and row.attention_downsample
            if dual:
                yield ('dual', index, at), stage.downsample
            yield ('down', index, at), stage.downsample.conv if dual else stage.downsample
        attending = row.attention_blocks[index]
        for place, (block, ratio) in enumerate(zip(stage.blocks, row.expansion_ratios[index], strict=True)):
            attends = place >= len(stage.blocks) - attending
            if attends and row.family == V1:
                yield ('token', index, (width, ratio)), block
            elif attends:
                yield ('attention', index, (width,)), block[0]
                yield ('local', index, (width, ratio)), block[1]
            else:
                yield ('local', index, (width, ratio)), block


class _Watch:
    """Lets networks take turns while nobody else works; repeats rounds, and gives up."""

    def __init__(self, conditions: Conditions, note: Callable[[str], None]) -> None:
        self._conditions, self._note = conditions, note
        self._yardstick = Yardstick(conditions.device, PRECISIONS[conditions.precision])
        self._best = 0.0

    def run(self, networks: Sequence[TimedNetwork], effort: Effort, generator: random.Random) -> None:
        for network in networks:
            network.measure()
            network.measure()  # warm
            network.forget(0)
        good, bad = 0, 0
        while good < effort.rounds:
            self._note(f'Round {good + 1} of {effort.rounds}' + (f', {bad} repeated' if bad else ''))
            problem = self._round(networks, generator)
            if problem is None:
                good += 1
                continue
            bad += 1
            for network in networks:
                network.forget(good)
            if bad > _PATIENCE * effort.rounds:
                raise UserError(f'This machine is busy: {problem}, in {bad} rounds. Measure when nothing else runs.')

    def _round(self, networks: Sequence[TimedNetwork], generator: random.Random) -> str | None:
        """Measure every network once. What was wrong with it; None where nothing was."""
        clock, own = Clock.read(), time.process_time()
        for network in generator.sample(list(networks), len(networks)):
            network.measure()
        pace = self._yardstick.pace().flops_per_s
        others = cores_of_others(clock, Clock.read(), time.process_time() - own)
        self._best = max(self._best, pace)
        if others is not None and others > DISTURBED_CORES:
            return f'other programs keep {others:.2f} cores busy'
        if pace < _PACE * self._best:
            return f'it reaches {pace / self._best:.0%} of the pace that it had'
        return None


def _entries(networks: Sequence[TimedNetwork]) -> dict[Unit, Entry]:
    times: Mapping[Unit, list[float]] = defaultdict(list)
    for network in networks:
        for unit, values in network.part_times_ms.items():
            times[unit] += values
    return {unit: _entry(values) for unit, values in sorted(times.items())}


def _entry(values: Sequence[float]) -> Entry:
    typical, low, high = np.quantile(values, [_TYPICAL, 0.0, 0.75])
    return Entry(float(typical), float(low), float(high), len(values))


def _fit(sums: Sequence[float], times: Sequence[float]) -> tuple[float, float]:
    """Scale and offset by least squares of relative errors: small networks count as much as large ones."""
    weights = 1 / np.asarray(times)
    design = np.stack([np.asarray(sums), np.ones(len(sums))], axis=1) * weights[:, None]
    scale, offset = np.linalg.lstsq(design, np.ones(len(sums)), rcond=None)[0]
    return float(scale), float(offset)


def operations_of(row: Variant, size: tuple[int, int]) -> float:
    """Operations of a network, of which a multiply-accumulate is two."""
    with torch.device('meta'):
        return count_operations(build_backbone(row).eval(), torch.empty(1, 3, *size))
