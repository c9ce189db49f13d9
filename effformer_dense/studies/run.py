"""The whole study in order, each part only where it was not done before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmengine.logging import MMLogger

from ..errors import UserError
from ..locks import HeldError, locked
from .evaluation import evaluate_tuned, evaluate_untuned
from .report import Scores, tuned_modes, write_report
from .resolution import Settings, claim
from .scenes import handwritten


def run(settings: Settings, folder: Path) -> dict[str, Any]:
    """Do what is missing of a study.

    Args:
        settings: of the study.
        folder: of its nets, scores and results.

    Returns:
        The results, as in ``results.json``.

    Raises:
        UserError: the folder holds another study, or somebody works on it; or the digits are missing.
    """
    handwritten()
    MMLogger.get_current_instance().setLevel('WARNING')  # which else lists every value that it initialises
    folder = folder.absolute()
    claim(folder, settings)
    try:
        with locked(folder / '.lock', wait=False):
            return _run(settings, folder)
    except HeldError as error:
        raise UserError(
            f'Another process works on {folder}. Wait for it, or name another folder with --out.'
        ) from error


def _run(settings: Settings, folder: Path) -> dict[str, Any]:
    for seed in range(settings.seeds):
        evaluate_untuned(settings, folder, seed)
    scores = Scores(settings, folder)
    for seed in range(settings.tuned_seeds):
        for mode in tuned_modes(scores):
            evaluate_tuned(settings, folder, seed, mode)
    return write_report(scores)
