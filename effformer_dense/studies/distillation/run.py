"""The whole study of distillation, each part only where it was not done before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..folder import working_on
from ..jobs import silence_init, wait_for, workers
from ..trainings import scores_of
from .arms import ARMS, arm_training, run_arm, teacher_of, teacher_training
from .report import write_report
from .settings import Settings


def run(settings: Settings, folder: Path, jobs: int = 1) -> dict[str, Any]:
    """Do what is missing of a study.

    Args:
        settings: of the study.
        folder: of all that it makes.
        jobs: how many networks are trained at once, with one thread each.

    Returns:
        The results, as in ``results.json``.

    Raises:
        UserError: the folder holds another study, or somebody works on it.
    """
    silence_init()
    folder = folder.absolute()
    with working_on(folder, settings):
        _train_all(settings, folder, jobs)
        students = [arm_training(settings, folder, arm, seed) for arm in ARMS for seed in range(settings.seeds)]
        return write_report(folder, settings, scores_of(folder, [teacher_training(settings, folder), *students]))


def _train_all(settings: Settings, folder: Path, jobs: int) -> None:
    """Those that need no teacher are trained beside it."""
    seeds = range(settings.seeds)
    with workers(jobs) as executor:
        of_teacher = executor.submit(teacher_of, settings, folder)
        alone = [executor.submit(run_arm, settings, folder, arm, s) for arm in ARMS if not arm.lesson for s in seeds]
        teacher = of_teacher.result()
        taught = [
            executor.submit(run_arm, settings, folder, arm, seed, teacher)
            for seed in seeds
            for arm in ARMS
            if arm.lesson
        ]
        wait_for([*alone, *taught])
