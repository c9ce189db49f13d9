"""The whole study, each part only where it was not done before; parts that need not wait for each other run at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from mmengine.logging import MMLogger

from ..allocator import keep_freed_memory
from ..errors import UserError
from ..locks import HeldError, locked
from .evaluation import contenders, evaluate_tuned, evaluate_untuned, train_net
from .report import Scores, tuned_contenders, write_report
from .resolution import Settings, claim
from .scenes import handwritten


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
    _silence_init()
    folder = folder.absolute()
    claim(folder, settings)
    try:
        with locked(folder / '.lock', wait=False):
            return _run(settings, folder, jobs)
    except HeldError as error:
        raise UserError(
            f'Another process works on {folder}. Wait for it, or name another folder with --out.'
        ) from error


def _run(settings: Settings, folder: Path, jobs: int) -> dict[str, Any]:
    with _executor(jobs) as executor:
        nets = [executor.submit(train_net, settings, seed, folder) for seed in range(settings.seeds)]
        evaluations = []
        for seed, net in enumerate(nets):
            net.result()
            for contender in contenders(settings):
                evaluations.append(executor.submit(evaluate_untuned, settings, folder, seed, contender))
        _wait(evaluations)
        scores = Scores(settings, folder)
        write_report(scores)  # of most of it; fine-tuning takes as long again
        tuned = product(tuned_contenders(scores), range(settings.seeds))
        _wait([executor.submit(evaluate_tuned, settings, folder, seed, contender) for contender, seed in tuned])
    return write_report(scores)


def _wait(futures: Iterable[Future]) -> None:
    for future in futures:
        future.result()


@contextmanager
def _executor(jobs: int) -> Iterator[Executor]:
    """What runs ``jobs`` calls at once; after an error it begins no further one."""
    executor = _InTurn() if jobs == 1 else ProcessPoolExecutor(jobs, get_context('spawn'), _prepare_worker)
    try:
        yield executor
    finally:
        executor.shutdown(cancel_futures=True)


class _InTurn(Executor):
    """Runs each call when it is submitted, in this process."""

    def submit(self, call: Callable, /, *args: Any, **kwargs: Any) -> Future:
        future: Future = Future()
        future.set_result(call(*args, **kwargs))
        return future


def _prepare_worker() -> None:
    torch.set_num_threads(1)
    keep_freed_memory()
    _silence_init()


def _silence_init() -> None:
    """MMEngine lists every value that it initialises."""
    MMLogger.get_current_instance().setLevel('WARNING')
