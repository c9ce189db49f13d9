"""The whole study, each part only where it was not done before; parts that need not wait for each other run at once."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from itertools import product
from pathlib import Path
from typing import Any

from ...errors import UserError
from ..folder import working_on
from ..jobs import silence_init, wait_for, workers
from .evaluation import contenders, evaluate_tuned, evaluate_untuned, train_net
from .report import write_report
from .scenes import handwritten
from .scores import Scores, tuned_contenders
from .settings import Settings

#: Nets may be trained, as multiples of those that are wanted.
_PATIENCE = 3


def run(settings: Settings, folder: Path, jobs: int = 1) -> dict[str, Any]:
    """Do what is missing of a study.

    Args:
        settings: of the study.
        folder: of its nets, scores and results.
        jobs: how many processes work on it, with one thread each; 1 works in this process.

    Returns:
        The results, as in ``results.json``.

    Raises:
        UserError: the folder holds another study, or somebody works on it; or the digits are missing.
    """
    handwritten()
    silence_init()
    folder = folder.absolute()
    with working_on(folder, settings):
        return _run(settings, folder, jobs)


def _run(settings: Settings, folder: Path, jobs: int) -> dict[str, Any]:
    with workers(jobs) as executor:
        nets, evaluations = {}, []
        for seed, where in _nets(settings, folder, executor):
            nets[seed] = where
            if where >= settings.learned:
                every = (settings, folder, seed)
                evaluations += [executor.submit(evaluate_untuned, *every, one) for one in contenders(settings)]
        wait_for(evaluations)
        scores = Scores(settings, folder, nets)
        write_report(scores)  # of most of it; fine-tuning takes as long again
        tuned = product(tuned_contenders(scores), scores.seeds)
        wait_for([executor.submit(evaluate_tuned, settings, folder, seed, contender) for contender, seed in tuned])
    return write_report(scores)


def _nets(settings: Settings, folder: Path, executor: Executor) -> Iterator[tuple[int, float]]:
    """Seeds of nets and *where* at 224 px, until as many have learned it as are wanted.

    Raises:
        UserError: most do not learn it.
    """
    trainings = [executor.submit(train_net, settings, seed, folder) for seed in range(settings.seeds)]
    for seed, training in enumerate(trainings):  # which grows meanwhile
        where = training.result()
        yield seed, where
        if where >= settings.learned:
            continue
        if len(trainings) == _PATIENCE * settings.seeds:
            raise UserError(f'Of {len(trainings)} nets most have not learned where: nothing can be said of their bias.')
        trainings.append(executor.submit(train_net, settings, len(trainings), folder))
