"""Batches of matrix products on a CPU: by oneDNN, one matrix after the other, where these are large.

torch leaves them to MKL, which on AMD's processors reaches half of the rate of oneDNN. In half precision torch itself
asks oneDNN.
"""

from __future__ import annotations

import torch
from torch import Tensor

#: Multiplications per matrix; with fewer, calling oneDNN for each takes what it saves.
_MIN_PRODUCTS = 2**21


def prefers_onednn(rows: int, matrices: Tensor) -> bool:
    """Whether :func:`bmm` of ``(b, rows, m)`` with ``matrices`` (b, m, n) is oneDNN's; gradients do not flow there."""
    return (
        matrices.device.type == 'cpu'
        and matrices.dtype == torch.float32
        and rows * matrices.shape[-2] * matrices.shape[-1] >= _MIN_PRODUCTS
        and torch.backends.mkldnn.is_available()
        and not torch.is_grad_enabled()
    )


def for_products(rows: int, matrices: Tensor) -> Tensor:
    """Matrices (..., m, n) in an order in memory that oneDNN takes; others slow it down a hundredfold."""
    dense = matrices.stride(-1) == 1 and matrices.stride(-2) == matrices.shape[-1]
    dense |= matrices.stride(-2) == 1 and matrices.stride(-1) == matrices.shape[-2]
    return matrices if dense or not prefers_onednn(rows, matrices) else matrices.contiguous()


def bmm(x: Tensor, matrices: Tensor) -> Tensor:
    """``torch.bmm`` of (b, rows, m) and (b, m, n), these from :func:`for_products`."""
    if not prefers_onednn(x.shape[1], matrices):
        return torch.bmm(x, matrices)
    multiply = torch.ops.mkldnn._linear_pointwise
    return torch.stack([multiply(x[i], matrices[i].T, None, 'none', [], '') for i in range(len(x))])
