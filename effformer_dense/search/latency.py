"""How long a network takes, from a table of its parts: measured inside whole networks and checked on others."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import UserError
from ..files import write_text
from ..variants import V1, V2, Variant

#: A table of which the order, or the times, of networks outside the fit are worse than this is refused.
MIN_SPEARMAN, MAX_MEAN_ERROR = 0.9, 0.1

#: Kind of a part, its stage, and what its time depends on: widths, or a width and a ratio.
Unit = tuple[str, int, tuple[int, ...]]


def units_of(row: Variant) -> Iterator[Unit]:
    """Parts of a network that follow one another; their times add up."""
    yield 'stem', 0, (row.widths[0],)
    for stage, (width, depth) in enumerate(zip(row.widths, row.depths, strict=True)):
        if stage:
            dual = row.family == V2 and stage == 3 and row.attention_downsample
            yield 'dual' if dual else 'down', stage, (row.widths[stage - 1], width)
        for place, ratio in enumerate(row.expansion_ratios[stage]):
            attends = place >= depth - row.attention_blocks[stage]
            if attends and row.family == V1:
                yield 'token', stage, (width, ratio)
                continue
            if attends:
                yield 'attention', stage, (width,)
            yield 'local', stage, (width, ratio)


@dataclass(frozen=True)
class Conditions:
    """Under which a table holds.

    Attributes:
        family: of :mod:`..variants`.
        height, width: of one picture, px.
        device, threads, mode, precision: as of the benchmark.
    """

    family: str
    height: int
    width: int
    device: str = 'cpu'
    threads: int = 1
    mode: str = 'fused'
    precision: str = 'fp32'

    def check_equal(self, wanted: Conditions, source: Path) -> None:
        """Raises ``UserError`` that names what differs from the conditions of a run."""
        different = [f.name for f in fields(self) if getattr(self, f.name) != getattr(wanted, f.name)]
        if different:
            said = '; '.join(f'{name} {getattr(self, name)} there, {getattr(wanted, name)} here' for name in different)
            raise UserError(
                f'{source} was measured under other conditions: {said}. Measure another, into another file.'
            )


@dataclass(frozen=True)
class Entry:
    """Time of a part: the lower quartile, the least, the upper quartile, and how often it was measured."""

    ms: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Validation:
    """How well times of networks outside the fit are foretold.

    Attributes:
        networks: how many.
        spearman: rank correlation of foretold and measured times.
        mean_error, worst_error: of foretold times, as shares of the measured.
        spearman_of: the same correlation for other predictors, parameters and operations.
        published: relative error of each published row that the space holds, foretold over measured less 1.
    """

    networks: int
    spearman: float
    mean_error: float
    worst_error: float
    spearman_of: dict[str, float] = field(default_factory=dict)
    published: dict[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        others = ', '.join(f'of {name} {value:.3f}' for name, value in self.spearman_of.items())
        rows = ', '.join(f'{name} {error:+.1%}' for name, error in self.published.items())
        return (
            f'{self.networks} networks outside the fit: Spearman {self.spearman:.3f} ({others}), '
            f'mean error {self.mean_error:.1%}, worst {self.worst_error:.1%}'
        ) + (f'; published rows: {rows}' if rows else '')


@dataclass(frozen=True)
class LatencyTable:
    """Times of parts, and what they make of whole networks.

    Attributes:
        conditions: under which it holds.
        entries: by part.
        scale, offset_ms: from the sum of a network's parts to its time.
        about: machine and date.
        validation: None for a table that nobody has checked.
    """

    conditions: Conditions
    entries: Mapping[Unit, Entry]
    scale: float = 1.0
    offset_ms: float = 0.0
    about: str = ''
    validation: Validation | None = None

    def predict(self, row: Variant) -> float:
        """Time of a network, in ms.

        Raises:
            UserError: a row of another family, or with a width or ratio outside the table.
        """
        if row.family != self.conditions.family:
            raise UserError(f'The table is of {self.conditions.family}, not of {row.family}.')
        return self.scale * sum(self._time(unit) for unit in units_of(row)) + self.offset_ms

    def _time(self, unit: Unit) -> float:
        kind, stage, at = unit
        if unit in self.entries:
            return self.entries[unit].ms
        grid = _axes([known for known in self.entries if known[:2] == (kind, stage)])
        if not grid:
            raise UserError(f'The latency table has no {kind!r} in stage {stage + 1}.')
        pairs = []
        for axis, (value, known) in enumerate(zip(at, grid, strict=True)):
            if not known[0] <= value <= known[-1]:
                what = 'ratio' if kind in ('local', 'token') and axis == 1 else 'width'
                raise UserError(
                    f'The latency table has {kind!r} of stage {stage + 1} at {what}s {known[0]} to {known[-1]}, not at '
                    f'{value}.'
                )
            pairs.append(_neighbours(known, value))
        total = 0.0
        for corner in product(*pairs):
            coordinates = tuple(value for value, _ in corner)
            weight = float(np.prod([share for _, share in corner]))
            if (kind, stage, coordinates) not in self.entries:
                raise UserError(f'The latency table has a gap: no {kind!r} of stage {stage + 1} at {coordinates}.')
            total += weight * self.entries[kind, stage, coordinates].ms / _growth(kind, coordinates)
        return total * _growth(kind, at)

    def save(self, path: Path) -> None:
        """Write it as JSON."""
        write_text(path, json.dumps(self.to_dict(), indent=1))

    def to_dict(self) -> dict[str, Any]:
        """For a file."""
        return dict(
            about=self.about,
            conditions=asdict(self.conditions),
            fit=dict(scale=self.scale, offset_ms=self.offset_ms),
            validation=None if self.validation is None else asdict(self.validation),
            entries=[
                dict(kind=kind, stage=stage, at=list(at), **asdict(entry))
                for (kind, stage, at), entry in self.entries.items()
            ],
        )

    @classmethod
    def load(cls, path: Path) -> LatencyTable:
        """Read one.

        Raises:
            UserError: it is not there or no such table.
        """
        try:
            content = json.loads(path.read_text())
            entries = {
                (part['kind'], part['stage'], tuple(part['at'])): Entry(
                    part['ms'], part['low'], part['high'], part['n']
                )
                for part in content['entries']
            }
            found = content.get('validation')
            return cls(
                Conditions(**content['conditions']),
                entries,
                content['fit']['scale'],
                content['fit']['offset_ms'],
                content.get('about', ''),
                None if found is None else Validation(**found),
            )
        except OSError as error:
            raise UserError(f'Latency table {path} cannot be read: {error.strerror}.') from error
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f'{path} is no latency table: {type(error).__name__}: {error}.') from error


def _growth(kind: str, at: tuple[int, ...]) -> float:
    """What is divided by before interpolating: blocks grow with the square of their width."""
    return at[0] if kind == 'local' else 1.0


def _axes(units: Sequence[Unit]) -> list[list[int]]:
    return [sorted(set(values)) for values in zip(*(at for _, _, at in units), strict=True)]


def _neighbours(known: Sequence[int], value: int) -> list[tuple[int, float]]:
    """Measured values around one, with their shares."""
    above = next(place for place, other in enumerate(known) if other >= value)
    if known[above] == value:
        return [(value, 1.0)]
    low, high = known[above - 1], known[above]
    share = (value - low) / (high - low)
    return [(low, 1 - share), (high, share)]


def validate(
    predicted: Sequence[float], measured: Sequence[float], others: Mapping[str, Sequence[float]]
) -> Validation:
    """Compare foretold with measured times; ``others``: further predictors by name."""
    errors = np.abs(np.asarray(predicted) / np.asarray(measured) - 1)
    return Validation(
        len(measured),
        spearman(predicted, measured),
        float(errors.mean()),
        float(errors.max()),
        {name: spearman(values, measured) for name, values in others.items()},
    )


def spearman(left: Sequence[float], right: Sequence[float]) -> float:
    """Correlation of ranks; those that are equal share theirs."""
    return float(np.corrcoef(_ranks(left), _ranks(right))[0, 1])


def _ranks(values: Sequence[float]) -> np.ndarray:
    _, inverse, counts = np.unique(np.asarray(values), return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return (ends - (counts - 1) / 2)[inverse]
