"""Computing in bfloat16: where that is fast, and what of a model does so.

A bfloat16 number has the exponents of single precision and 8 significant bits. Processors that have it multiply twice
as many of them in the same time, and add up in single precision. Convolutions and linear layers are nearly all of the
time of a backbone, a neck or a head, so these compute in bfloat16, and feature maps between them are kept in it. What
rounding would hurt stays as it is: norms, softmax, attention's bias and its mixes of heads, and everything outside of
backbones, necks and heads, such as RoIAlign, the decoding of boxes, NMS and the resizing of logits.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn

from ..backbones.base import DenseBackbone
from ..backbones.folding import FoldedConv, FoldedLinear
from ..errors import UserError, choice_error
from .memory_order import reads_any_order
from .onednn import OneDnnConv, OneDnnLinear, onednn_takes_bf16

PRECISIONS = ('fp32', 'bf16')

#: Instructions that multiply bfloat16 numbers, as Linux names them: AVX-512 and AMX on x86, and those of Arm.
_CPU_FLAGS = {'avx512_bf16', 'amx_bf16', 'bf16'}
#: First generation of NVIDIA's GPUs that has them (CUDA C++ Programming Guide, "Compute Capability 8.x").
_CUDA_CAPABILITY = (8, 0)

#: Layers that compute in bfloat16. mmcv has classes of its own with torch's names, for inputs without values.
_LAYERS = ('Conv2d', 'ConvTranspose2d', 'Linear')
_OWN_LAYERS = (FoldedConv, FoldedLinear, OneDnnConv, OneDnnLinear)


def check_precision(precision: str, device: torch.device) -> None:
    """Check that a model can be computed in ``precision`` on ``device``, and faster than in single precision.

    Raises:
        UserError: there is no such precision, or the device does not have it.
    """
    if precision not in PRECISIONS:
        raise choice_error('precision', precision, PRECISIONS)
    lack = lacks_bf16(device) if precision == 'bf16' else None
    if lack is not None:
        raise UserError(f"precision 'bf16' would be slower here than 'fp32': {lack}. Leave it at 'fp32'.")


def lacks_bf16(device: torch.device) -> str | None:
    """What is missing for bfloat16 in hardware; None where nothing is.

    A processor is asked by its flags in ``/proc/cpuinfo``: torch's own question says yes to every AVX-512, on which
    oneDNN emulates bfloat16 slowly. Elsewhere than on Linux, the answer is that it is not known.
    """
    if device.type == 'cuda':
        major, minor = torch.cuda.get_device_capability(device)
        if (major, minor) >= _CUDA_CAPABILITY:
            return None
        return f'{torch.cuda.get_device_name(device)} has compute capability {major}.{minor}, bfloat16 begins with 8.0'
    if device.type != 'cpu':
        return f'of {device.type} devices it is not known whether they have bfloat16'
    if not onednn_takes_bf16():
        return 'this torch was built without oneDNN, or its oneDNN has no bfloat16 for this processor'
    if not _CPU_FLAGS & _cpu_flags():
        return f'the processor has none of {", ".join(sorted(_CPU_FLAGS))} (/proc/cpuinfo)'
    return None


def _cpu_flags(path: Path = Path('/proc/cpuinfo')) -> set[str]:
    """Flags of the first core; none where the system does not tell."""
    try:
        found = re.search(r'^(?:flags|Features)\s*:(.*)$', path.read_text(), re.MULTILINE)
    except OSError:
        return set()
    return set(found[1].split()) if found else set()


def compute_in_bf16(model: nn.Module) -> None:
    """Change a fused model, in single precision, so that its backbone, neck and heads compute in bfloat16.

    What goes into and comes out of each of these is in single precision as before.

    Raises:
        UserError: weights of another precision; or no part is known.
    """
    other = next((p.dtype for p in model.parameters() if p.is_floating_point() and p.dtype != torch.float32), None)
    if other is not None:
        raise UserError(f"precision 'bf16' starts from weights in float32; {type(model).__name__} has some in {other}.")
    parts = [model] if isinstance(model, DenseBackbone) else list(_networks(model))
    if not parts:
        raise UserError(
            f"precision 'bf16': {type(model).__name__} has no backbone, neck or head among {_children(model)}. Fuse "
            'the detector or segmentor itself.'
        )
    for part in parts:
        for module in part.modules():
            if type(module) in _OWN_LAYERS or type(module).__name__ in _LAYERS:
                module.to(torch.bfloat16)
            if module is not part and next(module.parameters(recurse=False), None) is not None:
                _replace_forward(module, _in_own_precision)
        keeps_order = reads_any_order(model) and part is model.neck
        _replace_forward(part, _channels_last_outside if keeps_order else _in_single_precision_outside)


def _networks(model: nn.Module) -> Iterator[nn.Module]:
    """Backbones, necks and heads of a detector or segmentor: modules whose ``forward`` takes maps.

    Others stay in single precision. Encoders and decoders of transformers are among them: they compute coordinates.
    """
    for name, child in model.named_children():
        is_head = name.endswith('head') or isinstance(model, nn.ModuleList)
        inner = [grandchild for grandchild, _ in child.named_children() if grandchild.endswith('head')]
        if isinstance(child, DenseBackbone) or name == 'neck' or (is_head and not inner and not _is_list(child)):
            yield child
        elif is_head:  # mmdet's RoI heads hold heads; those of a cascade, lists of them
            yield from _networks(child)


def _children(model: nn.Module) -> str:
    return ', '.join(name for name, _ in model.named_children()) or 'no children'


def _is_list(module: nn.Module) -> bool:
    return isinstance(module, nn.ModuleList)


def _replace_forward(module: nn.Module, forward: Callable) -> None:
    """Let a module compute by ``forward``. A bound method is copied with its module; a hook would not see who calls
    ``forward`` itself, as mmsegmentation's heads do."""
    module.forward = MethodType(forward, module)  # type: ignore[method-assign]


def _in_own_precision(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
    """A layer's ``forward`` in the precision of its weights; what it gives is in the precision of what it got."""
    given = next((arg.dtype for arg in args if isinstance(arg, Tensor)), None)
    own = next(self.parameters(recurse=False)).dtype
    if given is None or given == own:
        return type(self).forward(self, *args, **kwargs)
    return _converted(type(self).forward(self, *_converted(args, own), **kwargs), given)


def _in_single_precision_outside(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
    """A network's ``forward`` on maps (B, C, H, W) in bfloat16; what it gives is in single precision.

    Maps are channels-last inside, where oneDNN is fastest, and not outside: mmcv's own RoIAlign reads any memory as if
    channels came first. What has no four dimensions may hold coordinates, and is not rounded.
    """
    return _converted(_in_bf16(self, *args, **kwargs), torch.float32, contiguous=True)


def _channels_last_outside(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
    """As :func:`_in_single_precision_outside`, for a network whose maps go where they are read in any order."""
    return _converted(_in_bf16(self, *args, **kwargs), torch.float32)


def _in_bf16(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
    return type(self).forward(self, *_converted(args, torch.bfloat16, maps_only=True), **kwargs)


def _converted(value: Any, dtype: torch.dtype, maps_only: bool = False, contiguous: bool = False) -> Any:
    """``value`` with the tensors of floating-point numbers in it, in lists and tuples too, converted to ``dtype``."""
    if isinstance(value, list | tuple):
        return type(value)(_converted(item, dtype, maps_only, contiguous) for item in value)
    if not isinstance(value, Tensor) or not value.is_floating_point() or (maps_only and value.dim() != 4):
        return value
    if maps_only:
        return value.to(dtype, memory_format=torch.channels_last)
    return value.to(dtype, memory_format=torch.contiguous_format) if contiguous else value.to(dtype)
