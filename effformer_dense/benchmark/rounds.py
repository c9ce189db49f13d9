"""Taking turns: in each round every contender is timed once, and the machine's pace beside them.

Machines change their pace from one minute to the next. What is compared is therefore always from the same round.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import NamedTuple

from .cases import Case, reference_index
from .contender import Ready, Turn, Worker, contend, keep_pace, tell_work
from .others import Clock, cores_of_others
from .yardstick import Pace, Work

#: Between two turns, in which threads of the last one go to sleep.
_PAUSE_S = 0.02


class Spread(NamedTuple):
    """Median and quartiles."""

    median: float
    low: float
    high: float


@dataclass(frozen=True)
class Measurement:
    """What was measured of one case.

    Attributes:
        times_ms: of each round.
        ratio: time over that of the reference in the same round; below 1 where this contender is the faster one.
        share: floor over time in the same round: 1 would be what the machine can do at best.
        floor_ms: see :meth:`.yardstick.Work.floor_s`: median.
        reference: contender that ``ratio`` compares with.
        images_per_s: at the median.
        peak_mib: memory above that at the start of the first step; None where the system does not tell.
        gmacs: multiply-accumulates of a step, in units of 1e9, in convolutions and matrix products.
        traffic_mb: what its convolutions and linear layers read and write.
        parameters: of the model before fusing.
        gflops, gb_per_s: pace of the machine meanwhile: medians.
        others: cores that other programs kept busy meanwhile; None where the system does not tell.
        parts_ms: of a whole detector or segmentor, time in each part: median.
    """

    case: Case
    times_ms: list[float]
    ratio: Spread
    share: Spread
    floor_ms: float
    reference: str
    images_per_s: float
    peak_mib: float | None
    gmacs: float
    traffic_mb: float
    parameters: int
    gflops: float
    gb_per_s: float
    others: float | None
    parts_ms: dict[str, float] = field(default_factory=dict)

    @property
    def median_ms(self) -> float:
        return statistics.median(self.times_ms)


@dataclass(frozen=True)
class Records:
    """All turns of a group: ``turns[contender][round]``, what there is to do per model and precision, and the paces."""

    ready: list[Ready]
    turns: list[list[Turn]]
    work: dict[tuple[str, str], Work]
    paces: dict[str, list[Pace]]
    others: float | None


def measure_group(
    cases: Sequence[Case], rounds: int, reference: str | None, note: Callable[[str], None] = lambda _: None
) -> list[Measurement]:
    """Measure cases that belong together.

    Args:
        cases: they have size and threads in common.
        rounds: how often each is timed.
        reference: contender that the others are compared with; the first one where it is None or not among them.
        note: told what is going on.

    Raises:
        TooLargeError: a case takes more memory than there is.
    """
    records = _take_turns(cases, rounds, note)
    against = reference_index(cases, reference)
    return [_summarise(index, cases[index], records, against, cases[against].contender) for index in range(len(cases))]


def _take_turns(cases: Sequence[Case], rounds: int, note: Callable[[str], None]) -> Records:
    with ExitStack() as stack:
        contenders, yardsticks, work = [], {}, {}
        for case in cases:
            note(f'{case.name} {case.conditions}: is built')
            contenders.append(stack.enter_context(Worker(contend, case, case.name)))
            if case.precision not in yardsticks:
                yardsticks[case.precision] = stack.enter_context(Worker(keep_pace, case, 'The yardstick'))
                work[case.model, case.precision] = yardsticks[case.precision].first
            elif (case.model, case.precision) not in work:
                with Worker(tell_work, case, case.label) as counter:
                    work[case.model, case.precision] = counter.first
        turns: list[list[Turn]] = [[] for _ in cases]
        paces: dict[str, list[Pace]] = {precision: [] for precision in yardsticks}
        clocks, own = [], []
        for number in range(rounds + 1):  # the first only wakes them up
            note(f'{cases[0].label} {cases[0].conditions}: round {number} of {rounds}')
            cpu_s = time.process_time()
            for precision, yardstick in yardsticks.items():
                pace, used = yardstick.ask()
                paces[precision].append(pace)
                cpu_s += used
            for index in _order(len(cases), number):
                time.sleep(_PAUSE_S)
                turns[index].append(contenders[index].ask())
                cpu_s += turns[index][-1].cpu_s
            clocks.append(Clock.read())
            own.append(cpu_s)
    return Records(
        [contender.first for contender in contenders],
        [taken[1:] for taken in turns],
        work,
        {precision: measured[1:] for precision, measured in paces.items()},
        cores_of_others(clocks[0], clocks[-1], own[-1] - own[0]),
    )


def _order(length: int, number: int) -> list[int]:
    """Each contender comes first in its turn: whoever comes after a long step may find a warmer or slower machine."""
    return [(number + index) % length for index in range(length)]


def _summarise(index: int, case: Case, records: Records, against: int, reference: str) -> Measurement:
    turns, paces, work = records.turns[index], records.paces[case.precision], records.work[case.model, case.precision]
    seconds = [turn.seconds for turn in turns]
    theirs = [turn.seconds for turn in records.turns[against]]
    floors = [work.floor_s(pace) for pace in paces]
    return Measurement(
        case=case,
        times_ms=[1e3 * value for value in seconds],
        ratio=spread([own / other for own, other in zip(seconds, theirs, strict=True)]),
        share=spread([floor / own for floor, own in zip(floors, seconds, strict=True)]),
        floor_ms=1e3 * statistics.median(floors),
        reference=reference,
        images_per_s=case.batch / statistics.median(seconds),
        peak_mib=records.ready[index].peak_mib,
        gmacs=work.flops / 2e9,
        traffic_mb=work.bytes / 1e6,
        parameters=records.ready[index].parameters,
        gflops=statistics.median(pace.flops_per_s for pace in paces) / 1e9,
        gb_per_s=statistics.median(pace.bytes_per_s for pace in paces) / 1e9,
        others=records.others,
        parts_ms={name: statistics.median(turn.parts_ms[name] for turn in turns) for name in turns[0].parts_ms},
    )


def spread(values: Sequence[float]) -> Spread:
    """Median and quartiles of any number of values."""
    if len(values) == 1:
        return Spread(values[0], values[0], values[0])
    low, middle, high = statistics.quantiles(values, n=4, method='inclusive')
    return Spread(middle, low, high)
