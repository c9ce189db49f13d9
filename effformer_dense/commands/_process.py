"""What the commands change about their own process."""

from __future__ import annotations


def keep_memory_on_cpu() -> None:
    """Without a GPU the process keeps what it frees, which makes large inputs faster (docs/performance.md)."""
    import torch

    from ..allocator import keep_freed_memory

    if not torch.cuda.is_available():
        keep_freed_memory()
