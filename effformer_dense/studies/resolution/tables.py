"""Markdown of what a study found, from what stands in ``results.json``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from .settings import ARMS, DEFAULT

Row = dict[str, Any]


def to_markdown(results: Row) -> str:
    """The control, both arms, means over sizes and fine-tuning, a table each, and the decision."""
    decision, tuned = results['decision'], results['tuned']
    said = ', '.join(f'{seed}: {where:.3f}' for seed, where in results['nets'].items())
    lines = [
        f'*where* at 224 px of all nets that were trained, by seed: {said}',
        *_section('Control, 224 px', _control(results['control'])),
        *(line for arm in ARMS for line in _section(arm, _by_size(_of_arm(results['main'], arm)))),
        *_section('Means over the sizes but 224 px', _means(results['arms'])),
        *(_section('After fine-tuning', _tuned(results)) if tuned else ()),
        *('', f'Decision: {decision["mode"]}, {decision["scale"]}, {decision["talking"]}. {decision["reason"]}'),
    ]
    return '\n'.join(lines) + '\n'


def _section(title: str, table: Iterable[str]) -> Iterable[str]:
    return ('', f'## {title}', '', *table)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterable[str]:
    yield f'| {" | ".join(head)} |'
    yield '|---' * len(head) + '|'
    for cells in rows:
        yield f'| {" | ".join(cells)} |'


def _control(control: Row) -> Iterable[str]:
    rows = []
    for task in ('where', 'what'):
        for mode, said in ((DEFAULT, 'as trained'), ('zero', 'tables set to zero')):
            found = control[f'{task} {mode}']
            interval = f'{found["mean"]:.3f} ({found["low"]:.3f} to {found["high"]:.3f})'
            rows.append((f'*{task}*, {said}', interval, ', '.join(f'{value:.3f}' for value in found['seeds'])))
    return _table(('', 'mean (95 % interval)', 'each net'), rows)


def _by_size(rows: Sequence[Row]) -> Iterable[str]:
    """*where* of every contender at every size; *what* of the portrait is of digits on their sides, and left out."""
    sizes = list(dict.fromkeys(tuple(row['size']) for row in rows))
    cells: dict[str, list[str]] = {}
    for row in rows:
        cells.setdefault(_name(row), []).append(_score(row['where']))
    return _table(('', *(f'{height} x {width}' for height, width in sizes)), [(name, *cells[name]) for name in cells])


def _means(rows: Sequence[Row]) -> Iterable[str]:
    def cells(row: Row) -> tuple[str, ...]:
        return _score(row['where']), _difference(row['where - bicubic']), _difference(row['where - matrix'])

    both = zip(*(_of_arm(rows, arm) for arm in ARMS), strict=True)
    head = ('', *(title for arm in ARMS for title in (arm, 'to `bicubic`', 'to `matrix`')))
    return _table(head, [(_name(own[0]), *(cell for row in own for cell in cells(row))) for own in both])


def _tuned(results: Row) -> Iterable[str]:
    """Untuned and after each number of steps; differences and *what* after the last."""
    settings = results['settings']
    steps, size = settings['tuned_steps'], list(settings['tuned_size'])
    untuned = [row for row in _of_arm(results['main'], 'canvas') if row['size'] == size]
    found = {(_name(row), row['tuned']): row for row in [*untuned, *results['tuned']]}
    names = dict.fromkeys(_name(row) for row in results['tuned'] if row['tuned'] == steps[-1])
    rows = []
    for name in names:
        last = found[name, steps[-1]]
        scores = [_score(found[name, count]['where']) for count in (0, *steps)]
        to_matrix = _difference(last['where - matrix']) if 'where - matrix' in last else ''
        rows.append((name, *scores, to_matrix, _score(last['what'])))
    head = ('', 'untuned', *(f'{count} steps' for count in steps))
    return _table((*head, f'to `matrix`, {steps[-1]} steps', f'*what*, {steps[-1]} steps'), rows)


def _of_arm(rows: Iterable[Row], arm: str) -> list[Row]:
    return [row for row in rows if row['arm'] == arm]


def _name(row: Row) -> str:
    parts = (row['mode'], row['scale'], None if row['talking'] == 'sum' else row['talking'])
    return ', '.join(f'`{part}`' for part in parts if part)


def _score(found: Row) -> str:
    return f'{found["mean"]:.3f} ({found["low"]:.2f}, {found["high"]:.2f})'


def _difference(found: Row) -> str:
    return f'{found["mean"]:+.3f} ({found["low"]:+.3f} to {found["high"]:+.3f})'
