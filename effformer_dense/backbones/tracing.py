"""Is a graph being recorded, and which kind? Asked here and nowhere else.

Three questions, from the narrowest to the widest:

* :func:`is_exporting`: must the graph hold standard operators only, and as few of them as possible?
* :func:`is_recording`: is somebody making a graph of the operators, whatever for?
* :func:`has_values`: may Python look at the numbers in a tensor?
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.fx.experimental.proxy_tensor import get_proxy_mode


def is_exporting() -> bool:
    """Whether a graph is recorded that is handed on: by ``torch.jit.trace``, ``torch.export``, ONNX, ``make_fx``."""
    if torch.jit.is_tracing() or torch.onnx.is_in_onnx_export():
        return True
    # Older torch cannot tell the two apart.
    exporting = getattr(torch.compiler, 'is_exporting', torch.compiler.is_compiling)()
    return exporting or (not torch.compiler.is_compiling() and get_proxy_mode() is not None)


def is_recording() -> bool:
    """Whether a graph is recorded at all: one to be exported, or one that ``torch.compile`` optimises by itself."""
    return torch.compiler.is_compiling() or is_exporting()


def has_values(x: Tensor) -> bool:
    """Whether Python may look at the values of ``x``.

    Not while a graph is recorded, in ``torch.func.vmap`` and its kin, and for tensors without any values (fake ones,
    the meta device).
    """
    return (
        not is_recording()
        and type(x) in (Tensor, nn.Parameter)
        and not x.is_meta
        and not torch._C._functorch.is_functorch_wrapped_tensor(x)
    )
