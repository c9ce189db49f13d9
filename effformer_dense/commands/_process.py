"""What the commands change about their own process."""

from __future__ import annotations

import os

from ..errors import UserError


def prepare_cpu() -> None:
    """Without a GPU, keep what is freed, and take the tiniest numbers for zero; to be called before torch computes."""
    import torch

    from ..allocator import keep_freed_memory
    from ..denormals import flush_denormals

    if not torch.cuda.is_available():
        keep_freed_memory()
        flush_denormals()


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
