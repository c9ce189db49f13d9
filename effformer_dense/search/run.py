"""A search, from a task's config to a found network."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.device import get_device
from mmengine.registry import MODELS

from ..checkpoint.whole_model import find_checkpoint, load_weights
from ..engine.open import open_config
from ..engine.runner import train
from ..engine.training.session import rank_and_size
from ..errors import UserError
from ..files import check_output_dir, make_output_dir, write_text
from ..invocation import command
from ..options import ConfigOptions, SearchOptions, TableOptions
from ..variants import SHORT_NAMES
from .latency import Conditions, LatencyTable
from .measuring import Effort, measure_rows, measure_table
from .methods import METHODS, Method
from .result import draw_path, draw_row, set_widths, write_found
from .scoring import Scorer, Trial
from .space import Space
from .walk import TOLERANCE, Record, Target, best_within, check_target, read_path, write_path

Note = Callable[[str], None]
_TABLE, _SUPERNET, _PATH, _ABOUT = 'table.json', 'supernet', 'path.jsonl', 'search.json'


@dataclass(frozen=True)
class Job:
    """A search.

    Attributes:
        method: how is searched.
        config: of the task, with its overrides.
        size: (height, width) px, for which the network should be fast.
        search: target and scoring.
        measuring: of the latency table.
    """

    method: Method
    config: ConfigOptions
    size: tuple[int, int]
    search: SearchOptions
    measuring: TableOptions

    @property
    def folder(self) -> Path:
        return self.config.work_dir or Path('work_dirs') / f'search_{Path(self.config.config).stem}'

    @property
    def processes(self) -> int:
        return rank_and_size(self.config.launcher)[1]

    @property
    def is_first(self) -> bool:
        """Whether this process is the one of several that writes files."""
        return rank_and_size(self.config.launcher)[0] == 0

    @property
    def target(self) -> Target:
        return Target(self.search.latency_ms, self.search.params_m)

    def conditions(self, family: str) -> Conditions:
        m = self.measuring
        return Conditions(family, *self.size, device=m.device, threads=m.threads, precision=m.precision)


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
    if job.is_first:
        claim(job, space)
    table = _table(job, space, note)
    job = with_latency(job, space, table)
    check_target(space, table, job.target)
    records, scorer = walk_to_target(job, cfg, space, table, note)
    if not job.is_first:
        return job.folder / 'found.py'
    # States before the last may reach the target by the table, and have been found too slow.
    return finish(job.folder, 'found', cfg, records, table, scorer, records[-1], note)


def space_of(cfg: Config, method: Method) -> Space:
    """The states that a task's config lets a method choose from.

    Raises:
        UserError: its backbone is of another family than the method's, or see :meth:`.space.Space.from_config`.
    """
    family = cfg.model.backbone.type
    if family != method.family:
        others = [other.name for other in METHODS.values() if other.family == family]
        way = f' Search for those with: {others[0]}.' if others else ''
        raise UserError(
            f'{method.name} searches for networks of {method.family}; the backbone of the config is {family}.{way}'
        )
    return Space.from_config(family, (cfg.get('search') or {}).get('space'))


def with_latency(job: Job, space: Space, table: LatencyTable) -> Job:
    """A job whose target is in ms, where it was a share of what the largest network takes."""
    share = job.search.latency_share
    if not share:
        return job
    latency_ms = share * table.predict(space.largest.row)
    return replace(job, search=replace(job.search, latency_ms=latency_ms, latency_share=0.0))


def claim(job: Job, space: Space) -> None:
    """Make a folder that of a search, or find that it is.

    Raises:
        UserError: there is one and ``--resume`` is not given, or one of another space, size, target or scoring.
    """
    folder = job.folder
    check_output_dir(folder)
    search = job.search
    wanted = json.loads(
        json.dumps(
            dict(
                method=job.method.name,
                config=str(job.config.config),
                cfg_options=list(job.config.cfg_options),
                space=vars(space),
                size=job.size,
                latency_ms=search.latency_ms,
                latency_share=search.latency_share,
                params_m=search.params_m,
                pictures=search.pictures,
                batches=search.batches,
                score=search.score,
                paper_actions=search.paper_actions,
                supernet=None if search.supernet is None else str(search.supernet.absolute()),
            ),
            default=str,
        )
    )
    place = folder / _ABOUT
    if not place.exists():
        make_output_dir(folder)
        write_text(place, json.dumps(wanted, indent=1))
        return
    found = json.loads(place.read_text())
    different = [key for key in {**wanted, **found} if found.get(key) != wanted.get(key)]
    if different:
        said = '; '.join(f'{key} {found.get(key)} there, {wanted.get(key)} here' for key in different)
        raise UserError(f'{folder} holds another search: {said}. Name another folder with --work-dir.')
    if not search.resume:
        raise UserError(f'{folder} holds this search already: --resume goes on with it, --work-dir begins elsewhere.')


def _table(job: Job, space: Space, note: Note) -> LatencyTable:
    own, given = job.folder / _TABLE, job.search.table
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
            'Several processes would disturb each other in measuring. Measure a table first, '
            f'{command("search")} table {SHORT_NAMES[space.family]}, and name it: --table FILE.'
        )
    effort = Effort(job.measuring.rounds, job.measuring.validate)
    table = measure_table(space, conditions, effort, note)
    table.save(own)
    note(f'Latency table: {own}. {table.validation or ""}')
    return table


def to_supernet(cfg: Config, space: Space, method: Method) -> Config:
    """The task's config with a supernet in the place of its backbone, and its training."""
    supernet = copy.deepcopy(cfg)
    model = supernet.model
    widths = tuple(choices[-1] for choices in space.widths)
    set_widths(model, tuple(widths[index] for index in model.backbone.get('out_indices', range(4))))
    model.backbone = dict(type=method.supernet.__name__, backbone=model.backbone, space=space.to_config())
    seed = (cfg.get('randomness') or {}).get('seed') or 0
    supernet.model = dict(type=method.training.__name__, model=model, seed=seed)
    supernet.model_wrapper_cfg = dict(type='SandwichProcesses')
    if method.undecayed and supernet.get('optim_wrapper'):
        decay = dict(custom_keys={name: dict(decay_mult=0.0) for name in method.undecayed})
        supernet.merge_from_dict(dict(optim_wrapper=dict(paramwise_cfg=decay)))
    imports = list((cfg.get('custom_imports') or {}).get('imports', ['effformer_dense']))
    supernet.custom_imports = dict(imports=[*imports, method.training.__module__], allow_failed_imports=False)
    supernet.pop('work_dir', None)
    supernet.pop('search', None)
    return supernet


def _trained(job: Job, supernet: Config, note: Note) -> Path:
    """Checkpoint of the trained supernet."""
    if job.search.supernet is not None:
        return find_checkpoint(job.search.supernet)
    folder, config = job.folder / _SUPERNET, job.folder / f'{_SUPERNET}.py'
    done = folder / 'trained'
    if not done.exists():
        note('Training the supernet')
        supernet.dump(config)
        options = replace(job.config, config=config, cfg_options=(), work_dir=folder, data_root=None)
        train(options, 'auto' if list(folder.glob('*.pth')) else None)
        if job.is_first:
            write_text(done, '')
    return find_checkpoint(folder)


def walk_to_target(job: Job, cfg: Config, space: Space, table: LatencyTable, note: Note) -> tuple[list[Record], Scorer]:
    """Train the supernet and walk until a state reaches the target, by the table and by the clock."""
    scorer = make_scorer(job, cfg, space, note)
    walker = job.method.walker(space, table, scorer, job.search, note)
    path = job.folder / _PATH
    records = read_path(path) if path.exists() else [walker.start()]
    while True:
        if job.is_first:
            write_path(path, records)
        if not job.target.reached(records[-1]):
            records.append(walker.step(records[-1], len(records)))
            last = records[-1]
            told = f'score {last.score:.4f}, {last.latency_ms:.1f} ms, {last.params_m:.2f} M'
            note(f'{len(records) - 1}: {last.action}: {told}')
            continue
        try:
            measured = _measured(job, space, records[-1], note)
        except UserError as error:  # a search of hours should not end with nothing because somebody else works
            note(f'Not timed as a whole, taken by the table: {error}')
            return records, scorer
        note(f'Measured: {measured:.1f} ms, {records[-1].latency_ms:.1f} ms by the table')
        if measured <= (1 + TOLERANCE) * job.search.latency_ms:
            return records, scorer
        records.append(walker.step(records[-1], len(records)))


def _measured(job: Job, space: Space, record: Record, note: Note) -> float:
    if job.search.table is not None or job.processes > 1:
        return record.latency_ms  # of another machine, perhaps a phone; or of this one, which is at work
    return measure_rows([record.state.row], job.conditions(space.family), Effort(job.measuring.rounds), note)[0]


def make_scorer(job: Job, cfg: Config, space: Space, note: Note) -> Scorer:
    """What scores states: with the supernet that is there, or that is trained now."""
    supernet = to_supernet(cfg, space, job.method)
    checkpoint = _trained(job, supernet, note)
    sandwich = MODELS.build(copy.deepcopy(supernet.model))
    load_weights(sandwich, checkpoint)
    search = job.search
    return Scorer(cfg, sandwich.to(get_device()), Trial(search.pictures, search.batches, search.score))


def finish(
    folder: Path,
    name: str,
    cfg: Config,
    records: list[Record],
    table: LatencyTable,
    scorer: Scorer,
    found: Record,
    note: Note,
) -> Path:
    """Write config, weights and pictures of a network."""
    base = str(Path(cfg.filename).absolute())
    config = write_found(folder, name, base, cfg.model, scorer, found)
    draw_path(records, table, found, folder / 'path.png')
    draw_row(found.state.row, folder / f'{name}.png')
    told = f'{found.latency_ms:.1f} ms, {found.params_m:.2f} M, score {found.score:.4f}'
    note(f'Found: {config} ({told}), {name}.pth, {name}.png')
    untrained = scorer.supernet.untrained(found.state)
    if untrained:
        note(f'{untrained} of its norms were hardly trained; the weights of wider ones stand in. Train it further.')
    return config


def extract(path: Path, latency_ms: float, note: Note = print) -> Path:
    """Write another network of a path: the best one that takes at most so long.

    Args:
        path: ``path.jsonl`` in the folder of a search.
        latency_ms: by the search's table.
        note: told what is going on.

    Raises:
        UserError: no such file, or no state is so fast.
    """
    folder = path.parent
    records = read_path(path)
    found = best_within(records, Target(latency_ms))
    about: dict[str, Any] = json.loads((folder / _ABOUT).read_text())
    options = ConfigOptions(Path(about['config']), tuple(about['cfg_options']), work_dir=folder)
    search = SearchOptions(
        latency_ms,
        supernet=about['supernet'] and Path(about['supernet']),
        pictures=about['pictures'],
        batches=about['batches'],
        score=about['score'],
        resume=True,
    )
    job = Job(METHODS[about['method']], options, tuple(about['size']), search, TableOptions())
    cfg = open_config(options)
    space = space_of(cfg, job.method)
    scorer = make_scorer(job, cfg, space, note)
    table = LatencyTable.load(folder / _TABLE)
    return finish(folder, f'found_{latency_ms:g}ms', cfg, records, table, scorer, found, note)
