"""What a Core ML file says, computed by PyTorch: a Mac's numbers cannot be had here, but the operators are defined.

https://apple.github.io/coremltools/source/coremltools.converters.mil.mil.ops.defs.html is the source of what each does.
It knows the operators of our networks, and raises ``KeyError`` at any other.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import coremltools
import numpy as np
import torch
import torch.nn.functional as F
from coremltools.converters.mil.frontend.milproto.load import load
from torch import Tensor

#: Operators of one argument, or two, that PyTorch has in the same words.
_ELEMENTWISE: dict[str, Callable[..., Tensor]] = {
    'add': torch.add,
    'mul': torch.mul,
    'real_div': torch.div,
    'relu': torch.relu,
    'square': torch.square,
    'sub': torch.sub,
}
_TYPES = {'fp32': torch.float64, 'int32': torch.int32}


def evaluate(path: Path, image: Tensor) -> dict[str, Tensor]:
    """Outputs of a file for one picture (1, 3, H, W), in double precision."""
    spec = coremltools.utils.load_spec(str(path))
    weights = path / 'Data' / 'com.apple.CoreML' / 'weights'
    (block,) = load(spec, spec.specificationVersion, str(weights)).functions.values()
    known: dict[str, Any] = {'image': image.double()}

    def value(variable: Any) -> Any:
        if isinstance(variable, (list, tuple)):
            return [value(one) for one in variable]
        if variable.name in known:
            return known[variable.name]
        return _constant(variable.val)

    for operation in block.operations:
        if operation.op_type != 'const':
            inputs = {name: value(variable) for name, variable in operation.inputs.items()}
            found = _compute(operation.op_type, inputs)
            for output, tensor in zip(operation.outputs, found if isinstance(found, tuple) else (found,), strict=True):
                assert tuple(tensor.shape) == tuple(output.shape), operation.name
                known[output.name] = tensor
    return {variable.name: known[variable.name] for variable in block.outputs}


def _constant(array: Any) -> Any:
    """Arrays of numbers as tensors, anything else as Python has it."""
    if not isinstance(array, np.ndarray):
        return array
    tensor = torch.from_numpy(np.array(array))
    return tensor.double() if tensor.is_floating_point() else tensor


def _compute(kind: str, inputs: dict[str, Any]) -> Tensor | tuple[Tensor, ...]:
    if kind in _ELEMENTWISE:
        operands = (inputs[name] for name in ('x', 'y') if name in inputs)
        return _ELEMENTWISE[kind](*(torch.as_tensor(operand, dtype=torch.float64) for operand in operands))
    return _OPERATORS[kind](**inputs)


def _conv(
    x, weight, bias=None, strides=(1, 1), pad_type='valid', pad=(0, 0, 0, 0), dilations=(1, 1), groups=1
) -> Tensor:
    if pad_type == 'custom':
        top, bottom, left, right = map(int, pad)
        x = F.pad(x, (left, right, top, bottom))
    else:
        assert pad_type == 'valid'
    return F.conv2d(x, weight, bias, _ints(strides), 0, _ints(dilations), int(groups))


def _avg_pool(x, kernel_sizes, strides, pad_type, pad, exclude_padding_from_average, ceil_mode) -> Tensor:
    top, bottom, left, right = map(int, pad)
    assert pad_type == 'custom' and (top, left) == (bottom, right) and not ceil_mode
    return F.avg_pool2d(
        x, _ints(kernel_sizes), _ints(strides), (top, left), count_include_pad=not exclude_padding_from_average
    )


def _gelu(x, mode) -> Tensor:
    assert mode == 'EXACT'
    return F.gelu(x)


def _matmul(x, y, transpose_x=False, transpose_y=False) -> Tensor:
    return (x.mT if transpose_x else x) @ (y.mT if transpose_y else y)


def _upsample(x, scale_factor_height, scale_factor_width, align_corners, half_pixel_centers=None) -> Tensor:
    assert not align_corners and half_pixel_centers in (None, True)
    scale = float(scale_factor_height), float(scale_factor_width)
    size = [int(side * factor) for side, factor in zip(x.shape[2:], scale, strict=True)]
    return F.interpolate(x, size, mode='bilinear', align_corners=False)


def _nearest(x, scale_factor_height, scale_factor_width) -> Tensor:
    scale = float(scale_factor_height), float(scale_factor_width)
    return F.interpolate(x, [int(side * factor) for side, factor in zip(x.shape[2:], scale, strict=True)])


def _pad(x, pad, mode='constant', constant_val=0) -> Tensor:
    pairs = [(0, 0)] * (2 - len(pad) // 2) + list(zip(_ints(pad[::2]), _ints(pad[1::2]), strict=True))
    assert not any(map(any, pairs[:-2])), 'heights and widths alone'
    (top, bottom), (left, right) = pairs[-2:]
    return F.pad(x, (left, right, top, bottom), mode, **({'value': float(constant_val)} if mode == 'constant' else {}))


def _slice(x, begin, end, stride=None, begin_mask=None, end_mask=None, squeeze_mask=None) -> Tensor:
    rank = x.ndim
    stride = [1] * rank if stride is None else _ints(stride)
    begin_mask, end_mask, squeeze_mask = (
        [False] * rank if mask is None else [bool(entry) for entry in mask]
        for mask in (begin_mask, end_mask, squeeze_mask)
    )
    index: list[Any] = []
    for axis, (first, last) in enumerate(zip(_ints(begin), _ints(end), strict=True)):
        if squeeze_mask[axis]:
            index.append(first)
        else:
            index.append(slice(None if begin_mask[axis] else first, None if end_mask[axis] else last, stride[axis]))
    return x[tuple(index)]


def _split(x, axis, split_sizes=None, num_splits=None) -> tuple[Tensor, ...]:
    return (
        torch.tensor_split(x, int(num_splits), int(axis))
        if split_sizes is None
        else x.split(_ints(split_sizes), int(axis))
    )


def _ints(values: Any) -> list[int]:
    return [int(entry) for entry in values]


_OPERATORS: dict[str, Callable[..., Tensor | tuple[Tensor, ...]]] = {
    'avg_pool': _avg_pool,
    'cast': lambda x, dtype: x.to(_TYPES[dtype]),
    'concat': lambda values, axis, interleave=False: torch.cat(values, int(axis)),
    'conv': _conv,
    'gelu': _gelu,
    'layer_norm': lambda x, axes, gamma, beta, epsilon: F.layer_norm(x, gamma.shape, gamma, beta, float(epsilon)),
    'linear': F.linear,
    'matmul': _matmul,
    'pad': _pad,
    'reduce_argmax': lambda x, axis, keep_dims: x.argmax(int(axis), bool(keep_dims)).int(),
    'reduce_mean': lambda x, axes, keep_dims: x.mean(_ints(axes), bool(keep_dims)),
    'reduce_sum': lambda x, axes, keep_dims: x.sum(_ints(axes), bool(keep_dims)),
    'reshape': lambda x, shape: x.reshape(_ints(shape)),
    'rsqrt': lambda x, epsilon: (x + float(epsilon)).rsqrt(),
    'slice_by_index': _slice,
    'softmax': lambda x, axis: x.softmax(int(axis)),
    'split': _split,
    'squeeze': lambda x, axes: x.squeeze(_ints(axes)),
    'transpose': lambda x, perm: x.permute(_ints(perm)),
    'upsample_bilinear': _upsample,
    'upsample_nearest_neighbor': _nearest,
}
