"""The search that a study is about."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mmengine.config import Config

from ...config.home import find_config
from ...engine.open import open_config
from ...errors import UserError
from ...options import ConfigOptions, SearchOptions, TableOptions
from ...search.job import Job, space_of
from ...search.latency import LatencyTable
from ...search.methods import JOINT
from ...search.run import search
from ...search.space import Space
from ...search.walk import Record, read_path
from ..trainings import length_of
from .settings import Settings

Note = Callable[[str], None]


@dataclass(frozen=True)
class Searched:
    """A search that is done.

    Attributes:
        job: that it was.
        task: config of the task.
        space: of its states.
        table: of latencies.
        records: of the walk; the last one is what was found.
        config: ``found.py``.
    """

    job: Job
    task: Config
    space: Space
    table: LatencyTable
    records: list[Record]
    config: Path


def searched_for(settings: Settings, folder: Path, note: Note) -> Searched:
    """Search, or go on with it, unless that was done."""
    config = find_config(settings.config)
    if config is None:
        raise UserError(f'There is no config {settings.config}.')
    overrides = (*settings.cfg_options, *length_of(settings.supernet_iterations))
    options = ConfigOptions(config, overrides, work_dir=folder / 'search', data_root=folder / 'data')
    wanted = SearchOptions(latency_share=settings.latency_share, pictures=settings.pictures, score='loss', resume=True)
    job = Job(JOINT, options, settings.size, wanted, TableOptions(rounds=settings.rounds))
    found = job.folder / 'found.py'
    if not (job.folder / 'found.png').exists():  # the last that it writes
        search(job, note)
    task = open_config(options)
    records = read_path(job.folder / 'path.jsonl')
    return Searched(job, task, space_of(task, JOINT), LatencyTable.load(job.folder / 'table.json'), records, found)
