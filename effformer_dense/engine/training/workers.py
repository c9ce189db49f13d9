"""Processes that load data, and signals: they end when the training ends them, not when it is asked to end itself."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from functools import partial

from torch.utils.data import DataLoader


def shield_workers(loader: DataLoader) -> DataLoader:
    """Let the processes of a loader survive signals that are sent to all processes of a training.

    A terminal and schedulers do that. The training finishes its iteration, and needs them until then.
    """
    if loader.num_workers:
        loader.worker_init_fn = partial(_init_worker, loader.worker_init_fn)
    return loader


def _init_worker(usual: Callable[[int], None] | None, number: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    if hasattr(signal, 'sigwaitinfo'):  # not on a Mac, where torch's handler stays
        # Blocked here and in threads to come, so that it is waited for in one of them, which learns who has sent it.
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        threading.Thread(target=_end_when_told, args=(os.getppid(),), daemon=True).start()
    if usual is not None:
        usual(number)


def _end_when_told(training: int) -> None:
    """Wait for a SIGTERM of the training; after its death, anybody's will do."""
    while True:
        sender = signal.sigwaitinfo([signal.SIGTERM]).si_pid
        if sender == training or os.getppid() != training:
            os._exit(0)
