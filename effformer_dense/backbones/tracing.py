"""What may be done with the tensors at hand? Asked here and nowhere else.

Three questions, from the narrowest to the widest, and two for code that reads memory itself:

* :func:`wants_standard_operators`: must everything be a standard operator of torch?
* :func:`is_recording`: is somebody making a graph of the operators, whatever for?
* :func:`has_values`: may Python look at the numbers in a tensor?
* :func:`is_plain`, :func:`is_unwatched`: do they lie where the tensor says, and does nobody watch operators?
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch._C import _functorch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd import forward_ad
from torch.fx.experimental.proxy_tensor import get_proxy_mode
from torch.utils._python_dispatch import _get_current_dispatch_mode


def wants_standard_operators() -> bool:
    """Whether whoever watches knows torch's own operators alone, and no order in memory.

    A graph is recorded that is handed on (``torch.jit.trace``, ``torch.export``, ONNX, ``make_fx``), or
    ``torch.func.vmap`` adds a dimension.
    """
    if torch.jit.is_tracing() or _in_vmap():
        return True
    # Not torch.compiler.is_exporting(): asked by a compiler, it says yes (torch 2.11). Older torch cannot tell the two
    # apart.
    exporting = getattr(torch.compiler, '_is_exporting_flag', torch.compiler.is_compiling())
    return exporting or (not torch.compiler.is_compiling() and get_proxy_mode() is not None)


def is_recording() -> bool:
    """Whether a graph is recorded at all: one to be handed on, or one that ``torch.compile`` optimises by itself."""
    return torch.compiler.is_compiling() or wants_standard_operators()


def has_values(x: Tensor) -> bool:
    """Whether Python may look at the values of ``x``.

    Not while a graph is recorded, in the transforms of ``torch.func``, and for tensors without any values (fake ones,
    the meta device).
    """
    return (
        not is_recording()
        and is_plain(x)
        and not x.is_meta
        and not isinstance(_get_current_dispatch_mode(), FakeTensorMode)
    )


def is_plain(x: Tensor) -> bool:
    """Whether the numbers of ``x`` lie where it says: no subclass, nor part of a transform of ``torch.func``."""
    return type(x) in (Tensor, nn.Parameter) and not _functorch.is_functorch_wrapped_tensor(x)


def is_unwatched() -> bool:
    """Whether nobody wants to see torch's operators at work: no dispatch mode, nor derivatives forward."""
    return _get_current_dispatch_mode() is None and forward_ad._current_level < 0


def merge(x: Tensor, first: int, last: int) -> Tensor:
    """``x.flatten(first, last)``, without a question whether a side is 1.

    A view of other strides asks that (:func:`in_order`).
    """
    return in_order(x).flatten(first, last)


def in_order(x: Tensor) -> Tensor:
    """``x``, in a program a copy in the usual order in memory.

    Of any other order, convolutions and products ask whether a side is 1, and a program would hold for maps of more
    cells alone.
    """
    return x.clone(memory_format=torch.contiguous_format) if wants_standard_operators() else x


def _in_vmap() -> bool:
    """Whether one of the transforms of ``torch.func`` that are under way is ``vmap``."""
    if torch.compiler.is_compiling():  # which cannot follow the question
        return False
    transforms = _functorch.get_interpreter_stack() or ()
    return any(transform.key() == _functorch.TransformType.Vmap for transform in transforms)
