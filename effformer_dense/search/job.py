"""A search that is asked for, and the folder that holds it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from mmengine.config import Config

from ..benchmark.models import is_config
from ..config.load import read_config
from ..config.nodes import leaves
from ..engine.open import open_config
from ..engine.training.session import rank_and_size
from ..errors import UserError, choice_error
from ..files import check_output_dir, make_output_dir, write_text
from ..options import ConfigOptions, SearchOptions, TableOptions
from ..variants import SHORT_NAMES
from .latency import Conditions, LatencyTable
from .methods import METHODS, Method
from .space import DEFAULTS, Space
from .walk import Target

#: In the work dir of a supernet whose training has ended.
TRAINED = 'trained'
#: What may be changed until the walk has begun.
_OF_WALK = frozenset(option.name for option in fields(SearchOptions))


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
    def table(self) -> Path:
        """The latency table."""
        return self.folder / 'table.json'

    @property
    def supernet(self) -> Path:
        """Work dir of the supernet's training."""
        return self.folder / 'supernet'

    @property
    def path(self) -> Path:
        """States of the walk."""
        return self.folder / 'path.jsonl'

    @property
    def found(self) -> Path:
        """Config of the network that was found."""
        return self.folder / 'found.py'

    @property
    def processes(self) -> int:
        return rank_and_size(self.config.launcher)[1]

    @property
    def is_first(self) -> bool:
        """Whether this process is the one of several that writes files."""
        return rank_and_size(self.config.launcher)[0] == 0

    @property
    def target(self) -> Target:
        return Target(self.search.latency_ms, self.search.params_m, self.search.memory_mib)

    @property
    def times_whole_networks(self) -> bool:
        """Whether networks can be timed here: no table of another machine is given, nor do processes disturb."""
        return self.search.table is None and self.processes == 1

    def conditions(self, family: str) -> Conditions:
        m = self.measuring
        return Conditions(family, *self.size, device=m.device, threads=m.threads, precision=m.precision)

    def with_latency(self, space: Space, table: LatencyTable) -> Job:
        """With the target in ms, where it was a share of what the largest network takes."""
        share = self.search.latency_share
        if not share:
            return self
        latency_ms = share * table.predict(space.largest.row)
        return replace(self, search=replace(self.search, latency_ms=latency_ms, latency_share=0.0))


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


def space_named(name: str) -> Space:
    """The space of ``v1`` or ``v2``, or that of a search's config.

    Raises:
        UserError: it is neither, or see :meth:`.space.Space.from_config`.
    """
    families = {SHORT_NAMES[family]: space for family, space in DEFAULTS.items()}
    if name in families:
        return families[name]
    if not is_config(name):
        raise choice_error('Space', name, [*families, 'the config of a search'])
    cfg = open_config(ConfigOptions(Path(name), from_scratch=True))
    family = cfg.model.backbone.type
    method = next((method for method in METHODS.values() if method.family == family), None)
    if method is None:
        raise UserError(f'No search knows networks of {family}, which is the backbone of {name}.')
    return space_of(cfg, method)


def is_trained(supernet: Path) -> bool:
    """Whether the training of a search's supernet, in this work dir, has ended."""
    return (supernet / TRAINED).exists()


def with_own_table(job: Job) -> Job:
    """A search that was given a table goes on with its copy of it: it may be of another machine."""
    place = job.folder / 'search.json'
    given = place.exists() and json.loads(place.read_text()).get('table')
    if given and job.search.table is None and job.table.exists():
        return replace(job, search=replace(job.search, table=job.table))
    return job


def claim(job: Job, cfg: Config, space: Space) -> None:
    """Make a folder that of a search, or find that it is.

    Raises:
        UserError: there is one and ``--resume`` is not given, or one of another space, size, target or scoring.
    """
    folder = job.folder
    check_output_dir(folder)
    wanted = _description(job, cfg, space)
    place = folder / 'search.json'
    found = json.loads(place.read_text()) if place.exists() else wanted
    different = [key for key in {**wanted, **found} if found.get(key) != wanted.get(key)]
    if any(key not in _OF_WALK for key in different) or (different and job.path.exists()):
        said = '; '.join(f'{key} {found.get(key)} there, {wanted.get(key)} here' for key in different)
        parts = {'table': job.table.exists() and job.table, 'supernet': is_trained(job.supernet) and job.supernet}
        there = ' '.join(f'--{name} {path}' for name, path in parts.items() if path)
        hint = f'; what is here can be used there, if it is of the same: {there}' if there else ''
        raise UserError(f'{folder} holds another search: {said}. Name another folder with --work-dir{hint}.')
    if place.exists() and not job.search.resume:
        raise UserError(f'{folder} holds this search already: --resume goes on with it, --work-dir begins elsewhere.')
    make_output_dir(folder)
    write_text(place, json.dumps(wanted, indent=1))


def _description(job: Job, cfg: Config, space: Space) -> dict[str, Any]:
    """All that decides what a search comes to."""
    search = asdict(job.search)
    search.pop('resume')
    if job.search.table is not None:
        search['table'] = _digest(job.search.table)
    if job.search.supernet is not None:
        search['supernet'] = str(job.search.supernet.absolute())
    described = dict(
        method=job.method.name,
        config=str(Path(cfg.filename).absolute()),
        content=_content(job.config),
        cfg_options=job.config.cfg_options,
        space=vars(space),
        size=job.size,
        **search,
    )
    return json.loads(json.dumps(described))


def _content(options: ConfigOptions) -> str:
    """What a config says before it is fitted to a machine, in short; but for paths."""
    written = read_config(options).to_dict()
    entries = (f'{path}={value!r}' for path, value in leaves(written) if '/' not in str(value))
    return _short('\n'.join(sorted(entries)).encode())


def _short(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def _digest(path: Path) -> str:
    try:
        return _short(path.read_bytes())
    except OSError as error:
        raise UserError(f'Latency table {path} cannot be read: {error.strerror}.') from error


def read_job(path: Path, latency_ms: float) -> Job:
    """The search whose walk is in a file, with another target.

    Args:
        path: ``path.jsonl`` in the folder of a search.
        latency_ms: the target.

    Raises:
        UserError: there is no search in that folder.
    """
    place = path.parent / 'search.json'
    try:
        about: dict[str, Any] = json.loads(place.read_text())
    except OSError as error:
        raise UserError(
            f'{place} cannot be read: {error.strerror}. A path is of use in the folder of its search, beside '
            'search.json, table.json and supernet.'
        ) from error
    options = ConfigOptions(Path(about['config']), tuple(about['cfg_options']), work_dir=path.parent)
    search = SearchOptions(
        latency_ms,
        params_m=about['params_m'],
        memory_mib=about['memory_mib'],
        supernet=about['supernet'] and Path(about['supernet']),
        pictures=about['pictures'],
        batches=about['batches'],
        score=about['score'],
        resume=True,
    )
    return Job(METHODS[about['method']], options, tuple(about['size']), search, TableOptions())
