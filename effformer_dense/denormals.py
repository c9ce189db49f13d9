"""Numbers that are so small that processors compute with them by microcode, tens of times as slowly."""

from __future__ import annotations


def flush_denormals() -> None:
    """Take numbers below 1.2e-38 for zero, in this thread and in those of torch, which do as the first one does.

    To be called before torch computes (docs/performance.md, "What makes it fast").
    """
    import numpy as np
    import torch

    for kind in (np.float32, np.float64):
        np.finfo(kind)  # NumPy looks at the smallest number once, and would warn that it is zero
    torch.set_flush_denormal(True)
