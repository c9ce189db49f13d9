"""The whole study of the search, each part only where it was not done before."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ...search.space import State
from ...search.timing import Effort, measure_rows
from ..folder import working_on
from ..jobs import silence_init, wait_for, workers
from ..trainings import Training, length_of, run_training, scores_of
from .configs import config_of
from .kept import kept
from .report import Scores, write_report
from .rivals import Measure, Rival, find_rivals
from .searched import Note, Searched, searched_for
from .settings import Settings
from .walks import TableWalk, table_walks


def run(settings: Settings, folder: Path, jobs: int = 1, note: Note = print) -> dict[str, Any]:
    """Do what is missing of a study.

    Args:
        settings: of the study.
        folder: of all that it makes.
        jobs: how many networks are trained at once, with one thread each.
        note: told what is going on.

    Returns:
        The results, as in ``results.json``.

    Raises:
        UserError: the folder holds another study, or somebody works on it; or see :func:`..search.run.search`.
    """
    silence_init()
    folder = folder.absolute()
    with working_on(folder, settings):
        searched = searched_for(settings, folder, note)
        rivals = _rivals(settings, folder, searched, note)
        walks = table_walks(settings, folder, searched, note)
        trainings = _trainings(settings, folder, searched, rivals, walks)
        with workers(jobs) as executor:
            wait_for([executor.submit(run_training, training, folder) for training in trainings])
        states = {_state_name(searched, index): searched.records[index].score for index in _chosen(settings, searched)}
        states |= {walk.name: walk.score for walk in walks}
        scores = Scores(scores_of(folder, trainings), states, settings.resamples)
        return write_report(folder, settings, searched.table, scores, rivals, walks)


def _rivals(settings: Settings, folder: Path, searched: Searched, note: Note) -> list[Rival]:
    measure: Measure = partial(
        measure_rows, conditions=searched.table.conditions, effort=Effort(settings.rounds), note=note
    )
    found = searched.records[-1].state
    count, tolerance = settings.random_networks, settings.tolerance
    find = partial(find_rivals, searched.space, searched.table, found, count, tolerance, measure)
    return kept(folder / 'rivals.json', Rival, find)


def _trainings(
    settings: Settings, folder: Path, searched: Searched, rivals: Sequence[Rival], walks: Sequence[TableWalk]
) -> list[Training]:
    """All of a study, none twice."""
    overrides, data_root = (*settings.cfg_options, *length_of(settings.iterations)), folder / 'data'

    def alone(name: str, state: State, seeds: int) -> list[Training]:
        config = folder / 'configs' / f'{name.replace(" ", "_")}.py'
        config_of(searched.task, state, config)
        return [Training(name, config, seed, overrides, data_root) for seed in range(seeds)]

    trainings = [one for rival in rivals for one in alone(rival.name, rival.state, settings.seeds)]
    for walk in walks:
        trainings += alone(walk.name, walk.state, settings.seeds)
    trainings += [Training('inherited', searched.config, seed, overrides, data_root) for seed in range(settings.seeds)]
    for index in _chosen(settings, searched)[:-1]:  # the last one is the found network
        trainings += alone(_state_name(searched, index), searched.records[index].state, 1)
    return trainings


def _chosen(settings: Settings, searched: Searched) -> list[int]:
    """Places of states of the walk, evenly apart."""
    last = len(searched.records) - 1
    return sorted({round(place) for place in np.linspace(0, last, settings.path_states)})


def _state_name(searched: Searched, index: int) -> str:
    return 'found' if index == len(searched.records) - 1 else f'state {index}'
