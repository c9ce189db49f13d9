"""The greedy walk from the largest network to one that is small and fast enough, and the file that it leaves."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from ..errors import UserError
from ..files import write_text
from ..rows import to_arch
from ..variants import Variant
from .latency import LatencyTable
from .memory import memory_of
from .networks import parameters_of
from .objective import Candidate, choose, mobile_efficiency
from .space import Space, State, Step

#: A network is over its target from this share of it on: times vary by as much.
TOLERANCE = 0.03


@dataclass(frozen=True)
class Target:
    """Where a walk ends.

    Attributes:
        latency_ms: by the table.
        params_m: millions of parameters, or None for any number.
        memory_mib: for one picture, or None for any.
    """

    latency_ms: float
    params_m: float | None = None
    memory_mib: float | None = None

    def reached(self, record: Record) -> bool:
        limits, costs = asdict(self), record.costs
        return all(limit is None or costs[name] <= limit for name, limit in limits.items())

    def met(self, record: Record) -> bool:
        """Reached, and by the clock as well, where the network was timed."""
        measured = record.latency_ms if record.measured_ms is None else record.measured_ms
        return self.reached(record) and measured <= (1 + TOLERANCE) * self.latency_ms

    @property
    def told(self) -> str:
        """The limits, for people."""
        params = '' if self.params_m is None else f', {self.params_m:g} M'
        memory = '' if self.memory_mib is None else f', {self.memory_mib:g} MiB'
        return f'{self.latency_ms:g} ms{params}{memory}'


@dataclass(frozen=True)
class Record:
    """A state of a walk.

    Attributes:
        state: the network.
        action: that led to it.
        score: on the search's pictures.
        latency_ms: by the table.
        params_m: millions of parameters of the backbone.
        measured_ms: of the whole network, where it was timed.
        memory_mib: for one picture, where the search asks for it (:func:`.memory.peak_mib`).
    """

    state: State
    action: str
    score: float
    latency_ms: float
    params_m: float
    measured_ms: float | None = None
    memory_mib: float | None = None

    @property
    def costs(self) -> dict[str, float]:
        """By the names that they have in the Mobile Efficiency Score."""
        known = dict(params_m=self.params_m, latency_ms=self.latency_ms)
        return known if self.memory_mib is None else {**known, 'memory_mib': self.memory_mib}

    @property
    def efficiency(self) -> float:
        return mobile_efficiency(self.costs)

    @property
    def told(self) -> str:
        """The costs, for people."""
        memory = '' if self.memory_mib is None else f', {self.memory_mib:.0f} MiB'
        return f'{self.latency_ms:.1f} ms, {self.params_m:.2f} M{memory}'

    def to_json(self) -> str:
        """A line of ``path.jsonl``."""
        return json.dumps(
            dict(
                action=self.action,
                score=self.score,
                latency_ms=self.latency_ms,
                params_m=self.params_m,
                memory_mib=self.memory_mib,
                mes=self.efficiency,
                measured_ms=self.measured_ms,
                state=self.state.to_dict(),
                arch=to_arch(self.state.row),
            )
        )

    @classmethod
    def from_json(cls, line: str) -> Record:
        """The inverse of :meth:`to_json`."""
        content = json.loads(line)
        state = State.from_dict(content['state'])
        names = ('action', 'score', 'latency_ms', 'params_m')
        measured = {name: content.get(name) for name in ('measured_ms', 'memory_mib')}
        return cls(state, **{name: content[name] for name in names}, **measured)


class Scoring(Protocol):
    """What a walk needs of :class:`.scoring.Scorer`."""

    def stand_at(self, state: State) -> None: ...
    def scores(self, states: Sequence[State], note: Callable[[str], None] = ...) -> list[float]: ...


@dataclass(frozen=True)
class Walker:
    """Walks from the largest state of a space by the steps that cost the least score for what they gain.

    Attributes:
        space: of the states.
        table: of latencies.
        scoring: of states.
        steps: from a state, those that are considered.
        worth: of a network, by its costs; what a step gains is its growth.
        note: told what is going on.
        memory: MiB that a row needs; None where memory does not count.
    """

    space: Space
    table: LatencyTable
    scoring: Scoring
    steps: Callable[[State], Sequence[Step]]
    worth: Callable[[Mapping[str, float]], float]
    note: Callable[[str], None] = lambda _: None
    memory: Callable[[Variant], float] | None = None

    def start(self) -> Record:
        """The largest state, scored."""
        self.scoring.stand_at(self.space.largest)
        return self._record(self.space.largest, 'start', self.scoring.scores([self.space.largest])[0])

    def step(self, record: Record, number: int) -> Record | None:
        """The next state; None where no step gains anything."""
        gains = {step: self._gain(record, step) for step in self.steps(record.state)}
        steps = [step for step, gain in gains.items() if gain > 0]
        if not steps:
            return None
        self.scoring.stand_at(record.state)
        states = [step.state for step in steps]
        scores = self.scoring.scores(states, lambda text: self.note(f'step {number}: {text}'))
        found = {
            index: Candidate(record.score - score, gains[step])
            for index, (step, score) in enumerate(zip(steps, scores, strict=True))
        }
        best = choose(found)
        return self._record(states[best], str(steps[best]), scores[best])

    def _gain(self, record: Record, step: Step) -> float:
        return self.worth(self._costs(step.state.row)) - self.worth(record.costs)

    def _record(self, state: State, action: str, score: float) -> Record:
        return Record(state, action, score, **self._costs(state.row))

    def _costs(self, row: Variant) -> dict[str, float]:
        """As :attr:`Record.costs`."""
        costs = dict(params_m=parameters_of(row) / 1e6, latency_ms=self.table.predict(row))
        return costs if self.memory is None else {**costs, 'memory_mib': self.memory(row)}


def check_target(least: State, table: LatencyTable, target: Target) -> None:
    """Raises ``UserError`` for a target beyond the smallest network that a walk comes to."""
    latency, params = table.predict(least.row), parameters_of(least.row) / 1e6
    if target.latency_ms < latency:
        raise UserError(
            f'--latency-ms {target.latency_ms:g} is below the smallest network that this search comes to, which takes '
            f'{latency:.1f} ms by the table. Choose a larger one, or a space with smaller networks.'
        )
    if target.params_m is not None and target.params_m < params:
        raise UserError(
            f'--params-m {target.params_m:g} is below the smallest network that this search comes to, which has '
            f'{params:.2f} M.'
        )
    if target.memory_mib is not None and target.memory_mib < (memory := memory_of(table.conditions)(least.row)):
        raise UserError(
            f'--memory-mib {target.memory_mib:g} is below the smallest network that this search comes to, which needs '
            f'{memory:.0f} MiB for a picture of this size.'
        )


def read_path(path: Path) -> list[Record]:
    """Records of a walk.

    Raises:
        UserError: not there, or no such file.
    """
    try:
        return [Record.from_json(line) for line in path.read_text().splitlines() if line.strip()]
    except OSError as error:
        raise UserError(f'{path} cannot be read: {error.strerror}.') from error
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f'{path} is no path of a search: {type(error).__name__}: {error}.') from error


def write_path(path: Path, records: Iterable[Record]) -> None:
    """Write all records."""
    write_text(path, ''.join(f'{record.to_json()}\n' for record in records))


def best_within(records: Sequence[Record], target: Target) -> Record:
    """The best record of a path that reaches a target, and was not found slower when it was timed.

    Raises:
        UserError: none does.
    """
    reached = [record for record in records if target.met(record)]
    if not reached:
        raise UserError(
            f'The path ends at {records[-1].told}, and {target.told} are asked for, by the table and as it was timed. '
            'Search further.'
        )
    return max(reached, key=lambda record: record.score)
