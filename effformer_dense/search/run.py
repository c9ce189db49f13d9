"""A search, from a task's config to a found network."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from mmengine.config import Config

from ..engine.open import open_config
from ..engine.processes import meet
from ..engine.runner import load_checked_config
from ..errors import UserError
from ..invocation import command
from ..preflight.model import pretrained_parts
from .countdown import Countdown
from .job import Job, claim, read_job, space_of, with_own_table
from .latency import LatencyTable
from .measuring import measure_table, probe_rows
from .pictures import Trial
from .result import draw_path, draw_row, write_found
from .scoring import Scorer
from .space import Space
from .timing import Effort, measure_rows
from .training import FINE_TUNING, by_the_first, make_scorer, scorer_of, to_supernet, trained_supernet
from .walk import Record, Target, best_within, check_target, read_path, write_path

Note = Callable[[str], None]


def search(job: Job, note: Note = print) -> Path:
    """Search, in the steps table, supernet, walk, result; each only where it was not done before with ``--resume``.

    Args:
        job: what is searched for.
        note: told what is going on.

    Returns:
        Config of the network that was found.

    Raises:
        UserError: see :mod:`.latency`, :mod:`.walk` and :func:`..engine.runner.train`; the folder holds another search.
    """
    cfg = open_config(job.config)
    space = space_of(cfg, job.method)
    job = with_own_table(job)
    if job.processes > 1:
        meet(job.config.launcher, cfg.get('env_cfg') or {})
    by_the_first(job, lambda: claim(job, cfg, space))
    if _is_finished(job):
        note(f'This search is finished: {job.found}')
        return job.found
    load_checked_config(replace(job.config, from_scratch=True), ('train', 'val'))  # data are there
    if job.search.supernet is not None:
        trained_supernet(job.search.supernet)
    table = _table(job, space, note)
    _check_covers(table, space)
    job = job.with_latency(space, table)
    check_target(space.least(job.method.actions(job.search)), table, job.target)
    if not job.path.exists():
        if job.search.supernet is None:
            _tell_what_is_left_out(cfg, note)
        try_out(job, cfg, space)
    scorer = make_scorer(job, cfg, space, note)
    records = walk_to_target(job, space, table, scorer, note)
    # States before the last may reach the target by the table, and have been found too slow.
    by_the_first(job, lambda: finish(job, 'found', records, table, scorer, records[-1], note))
    return job.found


def _tell_what_is_left_out(cfg: Config, note: Note) -> None:
    backbone = cfg.model.backbone
    if pretrained_parts(backbone):
        note('No published network has all blocks of the supernet: its training begins without their weights.')
    if any(backbone.get(key) not in (None, -1, False) for key in FINE_TUNING):
        note(f'{" and ".join(FINE_TUNING)} are for the training of what is found: the supernet trains whole.')


def _is_finished(job: Job) -> bool:
    """Whether the last file that a search writes is there."""
    return job.path.exists() and job.found.with_suffix('.png').exists()


def _table(job: Job, space: Space, note: Note) -> LatencyTable:
    own, given = job.table, job.search.table
    conditions = job.conditions(space.family)
    if given is not None or own.exists():
        source = given or own
        table = LatencyTable.load(source)
        table.conditions.check_equal(conditions, source)
        if given is not None and job.is_first:
            table.save(own)
        return table
    if job.processes > 1:
        raise UserError(
            'Several processes would disturb each other in measuring. Measure a table of the space of this config '
            f'first, {command("search")} table {job.config.config}, and name it: --table FILE.'
        )
    effort = Effort(job.measuring.rounds, job.measuring.validate)
    table = measure_table(space, conditions, effort, note)
    table.save(own)
    note(f'Latency table: {own}. {table.validation or ""}')
    return table


def _check_covers(table: LatencyTable, space: Space) -> None:
    """Raises ``UserError`` for a table that knows nothing of some networks of a space."""
    for row in (space.largest.row, space.smallest.row, *probe_rows(space)):
        try:
            table.predict(row)
        except UserError as error:
            raise UserError(f'The table does not cover the space of the search. {error}') from error


def try_out(job: Job, cfg: Config, space: Space) -> None:
    """Score a network and take it out of the supernet before that is trained: what cannot work shows at once.

    Raises:
        UserError: the config does not compute the metric, or a neck or head that networks cannot be taken from.
    """
    scorer = scorer_of(cfg, to_supernet(cfg, space, job.method), Trial(2, 1, job.search.score), None)
    record = Record(space.smallest, 'start', scorer.score(space.smallest), 0.0, 0.0)

    def take_out() -> None:
        with TemporaryDirectory() as folder:
            write_found(Path(folder), 'trial', job.config, scorer, record)

    by_the_first(job, take_out)


def walk_to_target(job: Job, space: Space, table: LatencyTable, scorer: Scorer, note: Note) -> list[Record]:
    """Walk until a state reaches the target, by the table and by the clock.

    Raises:
        UserError: no state that can be reached is so fast, or so small, by the table.
    """
    walker = job.method.walker(space, table, scorer, job.search, note)
    records = read_path(job.path) if job.path.exists() else [walker.start()]
    begun, countdown = len(records), Countdown()
    while True:
        if job.target.reached(records[-1]):
            records[-1] = _timed(job, space, records[-1], note)
        if job.is_first:
            write_path(job.path, records)
        if job.target.met(records[-1]):
            return records
        following = walker.step(records[-1], len(records))
        if following is None:
            return _end_of_road(job, records, note)
        records.append(following)
        left = countdown.left(_share_of_the_way(records[begun - 1], following, job.target))
        note(f'{len(records) - 1}: {following.action}: score {following.score:.4f}, {following.told}{left}')


def _share_of_the_way(start: Record, here: Record, target: Target) -> float:
    """Of the way in latency from where a walk began to its target: steps take shares of what there is."""
    way = math.log(start.latency_ms / target.latency_ms)
    return math.log(start.latency_ms / here.latency_ms) / way if way > 0 else 1.0


def _timed(job: Job, space: Space, record: Record, note: Note) -> Record:
    """A record with the time of the whole network, where it can be measured and was not yet."""
    if record.measured_ms is not None or not job.times_whole_networks:
        return record
    try:
        times = measure_rows([record.state.row], job.conditions(space.family), Effort(job.measuring.rounds), note)
    except UserError as error:  # a search of hours should not end with nothing because somebody else works
        note(f'Not timed as a whole, taken by the table: {error}')
        return record
    note(f'Measured: {times[0]:.1f} ms, {record.latency_ms:.1f} ms by the table')
    return replace(record, measured_ms=times[0])


def _end_of_road(job: Job, records: list[Record], note: Note) -> list[Record]:
    last = records[-1]
    if not job.target.reached(last):
        raise UserError(
            'No step from here makes the network faster, or smaller, by the table: it ends at '
            f'{last.told}. Choose a larger target, or a space with '
            f'smaller networks; {command("search")} extract {job.path} takes any network of this walk.'
        )
    note(f'No step from here makes the network faster by the table; it takes {last.measured_ms:.1f} ms.')
    return records


def finish(
    job: Job, name: str, records: list[Record], table: LatencyTable, scorer: Scorer, found: Record, note: Note
) -> Path:
    """Write config, weights and pictures of a network."""
    config = write_found(job.folder, name, job.config, scorer, found)
    draw_path(records, table, found, job.folder / 'path.png')
    draw_row(found.state.row, job.folder / f'{name}.png')
    note(f'Found: {config} ({found.told}, score {found.score:.4f}), {name}.pth, {name}.png')
    untrained = scorer.supernet.untrained(found.state)
    if untrained:
        note(f'{untrained} of its norms were hardly trained; the weights of wider ones stand in. Train it further.')
    return config


def extract(path: Path, latency_ms: float, note: Note = print) -> Path:
    """Write another network of a path: the best one that takes at most so long.

    Args:
        path: ``path.jsonl`` in the folder of a search.
        latency_ms: by the search's table, and by the clock where it was timed. The search's other limits hold.
        note: told what is going on.

    Raises:
        UserError: no such file, no search beside it, or no state is so fast.
    """
    records = read_path(path)
    job = read_job(path, latency_ms)
    found = best_within(records, job.target)
    cfg = open_config(job.config)
    scorer = make_scorer(job, cfg, space_of(cfg, job.method), note)
    return finish(job, f'found_{latency_ms:g}ms', records, LatencyTable.load(job.table), scorer, found, note)
