"""Networks that a found one is compared with: drawn at random, or shrunk evenly. Of equal latency, as measured."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from ...errors import UserError
from ...search.latency import LatencyTable
from ...search.space import Block, Space, State
from ...variants import Variant

#: Candidates are foretold to be within so many times the tolerance; a table errs by as much.
_MARGIN = 3
#: Drawn before the search for a further one is given up.
_DRAWS = 20_000
#: Factors by which the largest network is shrunk.
_FACTORS = tuple(number / 40 for number in range(8, 41))

#: Times of networks, in ms, from rounds in which they take turns.
Measure = Callable[[Sequence[Variant]], list[float]]


@dataclass(frozen=True)
class Rival:
    """A network, and its latency over that of the found one in the same rounds."""

    name: str
    state: State
    latency_ms: float
    ratio: float


def find_rivals(
    space: Space, table: LatencyTable, found: State, count: int, tolerance: float, measure: Measure
) -> list[Rival]:
    """The found network, the shrunk one, and random ones of its latency.

    Args:
        space: of all.
        table: foretells which ones are worth measuring.
        found: the network that others are compared with.
        count: of random ones.
        tolerance: of their latencies, relative.
        measure: times networks.

    Raises:
        UserError: the space has too few of this latency.
    """
    shrunk = _nearest(table, found, list(shrunk_states(space)))
    drawn = _draw(space, table, found, _MARGIN * tolerance)
    rivals: list[Rival] = []
    while len(rivals) < count:
        batch = [state for _, state in zip(range(2 * count), drawn, strict=False)]
        if not batch:
            raise UserError(
                f'Only {len(rivals)} random networks of {count} have the latency of the found one within '
                f'{tolerance:.0%}. Take a larger space or tolerance.'
            )
        times = measure([found.row, shrunk.row, *(state.row for state in batch)])
        own = [Rival('found', found, times[0], 1.0), Rival('shrunk', shrunk, times[1], times[1] / times[0])]
        for state, latency_ms in zip(batch, times[2:], strict=True):
            ratio = latency_ms / times[0]
            if abs(ratio - 1) <= tolerance and len(rivals) < count:
                rivals.append(Rival(f'random {len(rivals) + 1}', state, latency_ms, ratio))
    return [*own, *rivals]


def _draw(space: Space, table: LatencyTable, found: State, margin: float) -> Iterator[State]:
    """Random states that the table foretells to be about as fast, none twice."""
    generator, wanted, seen = random.Random(0), table.predict(found.row), {found}
    for _ in range(_DRAWS):
        state = space.random(generator)
        if state not in seen and abs(table.predict(state.row) / wanted - 1) <= margin:
            seen.add(state)
            yield state


def shrunk_states(space: Space) -> Iterator[State]:
    """The largest state with widths and depths times one factor, and one ratio for all blocks."""
    largest = space.largest
    for factor in _FACTORS:
        widths = tuple(min(choices, key=lambda width: abs(width - factor * choices[-1])) for choices in space.widths)
        depths = [max(1, round(factor * depth)) for depth in space.depths]
        attention = tuple(min(depth, count) for depth, count in zip(depths, largest.attention, strict=True))
        for ratio in space.ratios:
            blocks = tuple(
                tuple(Block(position, ratio) for position in range(whole - depth, whole))
                for depth, whole in zip(depths, space.depths, strict=True)
            )
            yield State(space.family, widths, blocks, attention, space.attention_downsample)


def _nearest(table: LatencyTable, found: State, states: Sequence[State]) -> State:
    wanted = table.predict(found.row)
    return min(states, key=lambda state: abs(table.predict(state.row) - wanted))
