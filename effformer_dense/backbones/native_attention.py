"""Attention by the package's own C++ (``native/attention.cpp``), on a CPU where it is compiled.

It computes in single precision. Half precision goes there and back, and takes half to four fifths of the time of
torch's operators even where the processor has bfloat16.
"""

from __future__ import annotations

import ctypes
from typing import Any, ClassVar

import torch
from torch import Tensor

from ..native.library import in_parallel, library
from .chunked import Operands, attend_in_chunks, empty_output
from .relpos import no_autocast
from .tracing import is_plain, is_unwatched

#: Talking heads are mixed in registers: so many.
_MIXED_HEADS = 8
#: Number types that single precision holds.
_HELD = torch.float32, torch.bfloat16, torch.float16
_Pointer, _Long = ctypes.c_void_p, ctypes.c_long


class _Grid(ctypes.Structure):
    """``Grid`` of attention.cpp: (B, rows, columns, n, width), rows and columns as tokens."""

    _fields_: ClassVar = [('first', _Pointer), ('image', _Long), ('token', _Long), ('head', _Long)]

    @classmethod
    def of(cls, grid: Tensor) -> _Grid:
        return cls(grid.data_ptr(), grid.stride(0), grid.stride(2), grid.stride(3))


class _Attention(ctypes.Structure):
    """``Attention`` of attention.cpp."""

    _fields_: ClassVar = [
        *((name, _Grid) for name in ('q', 'k', 'v', 'out')),
        *((name, _Pointer) for name in ('bias', 'mix_scores', 'mix_weights')),
        *((name, _Long) for name in ('images', 'heads', 'key_width', 'value_width')),
        *((name, _Long) for name in ('height', 'width', 'stride', 'bias_per_pair')),
        ('scale', ctypes.c_float),
    ]


def attend_forward(operands: Operands) -> Tensor:
    """Forward pass of :func:`.attend.attend` alone: by C++ where that takes the operands, else by torch's operators."""
    with no_autocast(operands.q):
        return attend_natively(operands) if is_native(operands) else attend_in_chunks(operands)


def is_native(operands: Operands) -> bool:
    """Whether :func:`attend_natively` takes these operands, and nobody watches torch's operators at work.

    Not asked while a graph is recorded.
    """
    opened = library()
    tensors = [tensor for tensor in operands.tensors if tensor is not None]
    return (
        opened is not None
        and (in_parallel() is not None or torch.get_num_threads() == 1)
        and all(x.is_cpu and x.dtype in _HELD and is_plain(x) for x in tensors)
        and is_unwatched()
        and all(_has_dense_tokens(grid) for grid in (operands.q, operands.k, operands.v))
        and operands.v.shape[4] % opened.attention_panel() == 0
        and (operands.mix_scores is None) == (operands.mix_weights is None)
        and (operands.mix_scores is None or len(operands.mix_scores) == _MIXED_HEADS)
    )


def attend_natively(operands: Operands) -> Tensor:
    """What :func:`.attend.attend` says, of operands that :func:`is_native`; no gradients flow.

    A copy of keys and values is held, and half a megabyte or so of scores for each thread.
    """
    opened, threads = library(), torch.get_num_threads()
    assert opened is not None, 'is_native has been asked'
    q, k, v = (grid.float() for grid in (operands.q, operands.k, operands.v))
    out = empty_output(q, v)
    bias, *mixes = (None if x is None else x.float().contiguous() for x in operands.tensors[3:])
    batch, height, width, heads, key_width = k.shape
    constants = operands.constants
    attention = _Attention(
        *(_Grid.of(grid) for grid in (q, k, v, out)),
        *(None if x is None else x.data_ptr() for x in (bias, *mixes)),
        *(batch, heads, key_width, v.shape[4]),
        *(height, width, constants.stride, constants.bias_per_pair),
        constants.scale,
    )
    reference: Any = ctypes.byref(attention)
    memory = q.new_empty(opened.attention_memory(reference, threads))
    opened.attention_run(reference, ctypes.c_void_p(memory.data_ptr()), in_parallel(), threads)
    return out.to(operands.v.dtype)


def _has_dense_tokens(grid: Tensor) -> bool:
    """Whether the width is dense and rows follow each other as columns do."""
    return grid.stride(4) == 1 and (grid.shape[1] == 1 or grid.stride(1) == grid.shape[2] * grid.stride(2))
