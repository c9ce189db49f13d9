"""What the commands change about their own process."""

from __future__ import annotations

import os

from ..errors import UserError


def prepare_cpu() -> None:
    """Without a GPU, keep what is freed, and take tiniest numbers for zero (docs/performance.md, "What makes it fast").

    To be called before torch computes: its threads take over how the first one treats tiny numbers.
    """
    import torch

    from ..allocator import keep_freed_memory

    if not torch.cuda.is_available():
        keep_freed_memory()
        torch.set_flush_denormal(True)


def is_first(launcher: str) -> bool:
    """Whether this process is the one of several that tells how things went."""
    from ..engine.training.session import rank_and_size

    return rank_and_size(launcher)[0] == 0


def adopt_local_rank(local_rank: int | None) -> None:
    """Put the rank that the older of torch's launchers gives as an option where the newer one has it.

    Raises:
        UserError: it is negative.
    """
    if local_rank is not None:
        if local_rank < 0:
            raise UserError(f'--local-rank {local_rank} is negative. torchrun gives it; leave it out by hand.')
        os.environ.setdefault('LOCAL_RANK', str(local_rank))
