"""How several processes meet: through gloo where there is no GPU, and apart from an earlier start of their job."""

from __future__ import annotations

import atexit
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.dist import init_dist, is_distributed
from mmengine.utils.dl_utils import set_multi_processing
from torch.distributed import PrefixStore, rendezvous


def meet(launcher: str, env_cfg: dict[str, Any]) -> None:
    """Let the processes of a launcher find each other, unless they have.

    MMEngine does so with GPUs alone, and at the first start of a job.

    Args:
        launcher: pytorch, slurm or mpi.
        env_cfg: of the config.
    """
    if is_distributed():
        return
    dist_cfg = env_cfg.get('dist_cfg', {})
    if launcher == 'pytorch':
        dist_cfg = apart_from_earlier_start(dist_cfg)
    set_multi_processing(**env_cfg.get('mp_cfg', {}), distributed=True)
    if torch.cuda.is_available():
        init_dist(launcher, **dist_cfg)
    else:
        meet_without_gpu(launcher, dist_cfg)


def meet_without_gpu(launcher: str, dist_cfg: dict[str, Any]) -> None:
    """Let the processes of a launcher find each other, as MMEngine does with GPUs.

    Args:
        launcher: pytorch, slurm or mpi.
        dist_cfg: of the config; its backend, which is for GPUs, gives way to gloo.
    """
    with _binding_to_no_gpu():
        init_dist(launcher, **{**dist_cfg, 'backend': 'gloo'})
    atexit.register(let_gloo_finish)


def let_gloo_finish() -> None:
    """Give gloo's threads time to let go of the last tensors, before the interpreter goes.

    A collective is over for its caller before the thread that ran it has released the tensors, for which it needs the
    interpreter. Where that is being shut down by then, CPython ends the thread, and C++ the process: "terminate called
    without an active exception", exit status 134 after all work is done. Leaving the group would end the threads, but
    torch keeps the group alive once a model has been wrapped for several processes.
    """
    time.sleep(0.1)


def apart_from_earlier_start(dist_cfg: dict[str, Any]) -> dict[str, Any]:
    """Let processes that torchrun has started again meet in a place of their own.

    Its store outlives the starts of a job, and has the addresses of processes that are gone: who finds those before
    they are replaced waits for the dead.

    Args:
        dist_cfg: of the config.

    Returns:
        The same, with a store, for MMEngine to hand on.
    """
    starts = os.environ.get('TORCHELASTIC_RESTART_COUNT') or '0'
    if starts == '0':
        return dist_cfg
    store, rank, size = next(iter(rendezvous('env://')))
    return {**dist_cfg, 'store': PrefixStore(f'start_{starts}', store), 'rank': rank, 'world_size': size}


@contextmanager
def _binding_to_no_gpu() -> Iterator[None]:
    """MMEngine binds each process to its GPU on the way, whatever the backend is."""
    usual = torch.cuda.set_device
    torch.cuda.set_device = lambda device: None
    try:
        yield
    finally:
        torch.cuda.set_device = usual
