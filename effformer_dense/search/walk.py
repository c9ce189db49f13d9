"""The greedy walk from the largest network to one that is small and fast enough, and the file that it leaves."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import torch
from mmengine.registry import MODELS

from ..errors import UserError
from ..files import write_text
from ..rows import to_arch
from ..variants import Variant
from .latency import LatencyTable
from .objective import Candidate, choose, mobile_efficiency
from .space import ACTIONS, Space, State, Step

#: A network is over its target from this share of it on: times vary by as much.
TOLERANCE = 0.03


@lru_cache(maxsize=4096)
def parameters_of(row: Variant) -> int:
    """Parameters of a row's backbone."""
    with torch.device('meta'):
        backbone = MODELS.build(dict(type=row.family, arch=to_arch(row)))
    return sum(parameter.numel() for parameter in backbone.parameters())


@dataclass(frozen=True)
class Target:
    """Where a walk ends.

    Attributes:
        latency_ms: by the table.
        params_m: millions of parameters, or None for any number.
    """

    latency_ms: float
    params_m: float | None = None

    def reached(self, record: Record) -> bool:
        small = self.params_m is None or record.params_m <= self.params_m
        return small and record.latency_ms <= self.latency_ms


@dataclass(frozen=True)
class Record:
    """A state of a walk.

    Attributes:
        state: the network.
        action: that led to it.
        score: on the search's pictures.
        latency_ms: by the table.
        params_m: millions of parameters of the backbone.
    """

    state: State
    action: str
    score: float
    latency_ms: float
    params_m: float

    @property
    def efficiency(self) -> float:
        return mobile_efficiency(dict(params_m=self.params_m, latency_ms=self.latency_ms))

    def to_json(self) -> str:
        """A line of ``path.jsonl``."""
        return json.dumps(
            dict(
                action=self.action,
                score=self.score,
                latency_ms=self.latency_ms,
                params_m=self.params_m,
                mes=self.efficiency,
                state=self.state.to_dict(),
                arch=to_arch(self.state.row),
            )
        )

    @classmethod
    def from_json(cls, line: str) -> Record:
        """The inverse of :meth:`to_json`."""
        content = json.loads(line)
        state = State.from_dict(content['state'])
        return cls(state, content['action'], content['score'], content['latency_ms'], content['params_m'])


class Scoring(Protocol):
    """What a walk needs of :class:`.scoring.Scorer`."""

    def stand_at(self, state: State) -> None: ...
    def scores(self, states: Sequence[State], note: Callable[[str], None] = ...) -> list[float]: ...


@dataclass(frozen=True)
class Walker:
    """Walks from the largest state of a space by the steps that cost the least score per Mobile Efficiency Score.

    Attributes:
        space: of the states.
        table: of latencies.
        scoring: of states.
        actions: kinds of steps, of :data:`.space.ACTIONS`.
        note: told what is going on.
    """

    space: Space
    table: LatencyTable
    scoring: Scoring
    actions: Sequence[str] = tuple(ACTIONS)
    note: Callable[[str], None] = lambda _: None

    def start(self) -> Record:
        """The largest state, scored."""
        self.scoring.stand_at(self.space.largest)
        return self._record(self.space.largest, 'start', self.scoring.scores([self.space.largest])[0])

    def step(self, record: Record, number: int) -> Record:
        """The next state.

        Raises:
            UserError: no step makes the network smaller and faster.
        """
        gains = {step: self._gain(record, step) for step in self.space.frontier(record.state, self.actions)}
        steps = [step for step, gain in gains.items() if gain > 0]
        if not steps:
            raise UserError(
                f'No step from here makes the network more efficient by the table: it ends at {record.latency_ms:.1f} '
                f'ms and {record.params_m:.2f} M parameters. Choose a larger target, or a space with smaller networks.'
            )
        self.scoring.stand_at(record.state)
        states = [step.state for step in steps]
        scores = self.scoring.scores(states, lambda text: self.note(f'step {number}: {text}'))
        found = {
            index: Candidate(record.score - score, gains[step])
            for index, (step, score) in enumerate(zip(steps, scores, strict=True))
        }
        best = choose(found)
        assert best is not None, 'steps without gain were left out'
        return self._record(states[best], str(steps[best]), scores[best])

    def _gain(self, record: Record, step: Step) -> float:
        row = step.state.row
        after = dict(params_m=parameters_of(row) / 1e6, latency_ms=self.table.predict(row))
        return mobile_efficiency(after) - record.efficiency

    def _record(self, state: State, action: str, score: float) -> Record:
        return Record(state, action, score, self.table.predict(state.row), parameters_of(state.row) / 1e6)


def check_target(space: Space, table: LatencyTable, target: Target) -> None:
    """Raises ``UserError`` for a target that no state of the space reaches."""
    smallest = space.smallest.row
    latency, params = table.predict(smallest), parameters_of(smallest) / 1e6
    if target.latency_ms < latency:
        raise UserError(
            f'--latency-ms {target.latency_ms:g} is below the smallest network of the space, which takes {latency:.1f} '
            'ms by the table. Choose a larger one, or a space with smaller networks.'
        )
    if target.params_m is not None and target.params_m < params:
        raise UserError(
            f'--params-m {target.params_m:g} is below the smallest network of the space, which has {params:.2f} M.'
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


def fastest_within(records: Sequence[Record], target: Target) -> Record:
    """The best record of a path that reaches a target.

    Raises:
        UserError: none does.
    """
    reached = [record for record in records if target.reached(record)]
    if not reached:
        least = min(record.latency_ms for record in records)
        raise UserError(f'The path ends at {least:.1f} ms, and {target.latency_ms:g} ms are asked for. Search further.')
    return max(reached, key=lambda record: record.score)
