"""Timing fused networks and their parts, in shuffled rounds, watched for other work."""

from __future__ import annotations

import itertools
import random
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from ..allocator import keep_freed_memory
from ..benchmark.cases import PRECISIONS
from ..benchmark.others import DISTURBED_CORES, Clock, cores_of_others
from ..benchmark.work import count_operations
from ..benchmark.yardstick import Yardstick, synchronize
from ..deploy import fuse
from ..deploy.precision import check_precision
from ..errors import UserError
from ..preflight.device import check_device
from ..threads import check_threads
from ..variants import V1, V2, Variant
from .countdown import Countdown
from .latency import Conditions, Unit
from .networks import build_backbone

#: Quantile of times that stands for a network and for a part: what disturbs them makes them slower, never faster.
TYPICAL = 0.25
#: In its turn, a network runs for so long, and at most so often: single runs of small ones say little.
_TURN_MS, _MOST_RUNS = 100, 9
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


@dataclass(frozen=True)
class Round:
    """What the machine was like in a round.

    Attributes:
        pace: of the yardstick, operations per second.
        others: cores that other programs kept busy; None where the system does not tell.
    """

    pace: float
    others: float | None

    def problem(self, best: float) -> str | None:
        """Why its times do not count, the best pace of all rounds being this; None where they do."""
        if self.others is not None and self.others > DISTURBED_CORES:
            return f'other programs keep {self.others:.2f} cores busy'
        if self.pace < _PACE * best:
            return f'it reaches {self.pace / best:.0%} of the pace that it had'
        return None


class Watch:
    """Lets networks take turns while nobody else works; repeats rounds, and gives up."""

    def __init__(self, conditions: Conditions, note: Callable[[str], None]) -> None:
        self._note = note
        self._yardstick = Yardstick(conditions.device, PRECISIONS[conditions.precision])

    def run(self, networks: Sequence[TimedNetwork], effort: Effort, generator: random.Random) -> None:
        for network in networks:
            network.measure()
            network.measure()  # warm
            network.keep([False] * 2)
        kept: list[Round] = []
        best, repeated, countdown = 0.0, 0, Countdown()
        while len(kept) < effort.rounds:
            told = (f', {repeated} repeated' if repeated else '') + countdown.left(len(kept) / effort.rounds)
            self._note(f'Round {len(kept) + 1} of {effort.rounds}{told}')
            rounds = [*kept, self._round(networks, generator)]
            best = max(best, rounds[-1].pace)
            problems = [one.problem(best) for one in rounds]  # an earlier one may prove to have been slow
            for network in networks:
                network.keep([problem is None for problem in problems])
            kept = [one for one, problem in zip(rounds, problems, strict=True) if problem is None]
            repeated += len(rounds) - len(kept)
            if repeated > _PATIENCE * effort.rounds:
                reason = next(problem for problem in problems if problem is not None)
                raise UserError(
                    f'This machine is busy: {reason}, in {repeated} rounds. Measure when nothing else runs.'
                )

    def _round(self, networks: Sequence[TimedNetwork], generator: random.Random) -> Round:
        """Measure every network once."""
        clock, own = Clock.read(), time.process_time()
        for network in generator.sample(list(networks), len(networks)):
            network.measure()
        pace = self._yardstick.pace().flops_per_s
        return Round(pace, cores_of_others(clock, Clock.read(), time.process_time() - own))


def measure_rows(
    rows: Sequence[Variant], conditions: Conditions, effort: Effort, note: Callable[[str], None] = lambda _: None
) -> list[float]:
    """Times of whole networks, in ms, from rounds in which they take turns.

    Raises:
        UserError: other programs keep the machine busy.
    """
    with prepared(conditions):
        timed = [TimedNetwork(row, conditions, parts=False) for row in rows]
        Watch(conditions, note).run(timed, effort, random.Random(effort.seed))
    return [network.typical_ms for network in timed]


@contextmanager
def prepared(conditions: Conditions) -> Iterator[None]:
    """As many threads as the conditions name; afterwards those that were, for what is trained next."""
    if conditions.mode != 'fused':
        raise UserError(f'Tables are measured of fused networks, not of {conditions.mode!r}.')
    check_precision(conditions.precision, check_device(conditions.device))
    check_threads(conditions.threads)
    threads = torch.get_num_threads()
    if conditions.device == 'cpu':
        keep_freed_memory()
        torch.set_num_threads(conditions.threads)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


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

    def keep(self, rounds: Sequence[bool]) -> None:
        """Forget rounds, all that there were, that are not to be kept."""
        for times in (self.times_ms, *self.part_times_ms.values()):
            times[:] = itertools.compress(times, rounds)

    @property
    def typical_ms(self) -> float:
        """Lower quartile over rounds."""
        return float(np.quantile(self.times_ms, TYPICAL))


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


def operations_of(row: Variant, size: tuple[int, int]) -> float:
    """Operations of a network, of which a multiply-accumulate is two."""
    with torch.device('meta'):
        return count_operations(build_backbone(row).eval(), torch.empty(1, 3, *size))
