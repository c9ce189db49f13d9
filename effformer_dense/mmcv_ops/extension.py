"""What the stand-in for ``mmcv._ext`` holds.

Names and arguments are those of mmcv's ``ops/csrc/pytorch/pybind.cpp``.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any, NoReturn

import torch
import torchvision

from .boxes import nms, nms_match, softnms
from .deformable_attention import ms_deform_attn_backward, ms_deform_attn_forward
from .deformable_conv import (
    deform_conv_backward_input,
    deform_conv_backward_parameters,
    deform_conv_forward,
    modulated_deform_conv_backward,
    modulated_deform_conv_forward,
)
from .focal_loss import sigmoid_focal_loss_backward, sigmoid_focal_loss_forward
from .missing import MissingOpError
from .roi_align import roi_align_backward, roi_align_forward


def get_compiler_version() -> str:
    """For mmcv's ``collect_env``."""
    return f'none, torchvision {torchvision.__version__} stands in'


def get_compiling_cuda_version() -> str:
    """For mmcv's ``collect_env``: that of torchvision."""
    number = torch.ops.torchvision._cuda_version()  # 13000 for 13.0
    return f'{number // 1000}.{number % 1000 // 10}' if number >= 0 else 'not available'


OPS: dict[str, Callable[..., Any]] = {
    op.__name__: op
    for op in (
        deform_conv_backward_input,
        deform_conv_backward_parameters,
        deform_conv_forward,
        get_compiler_version,
        get_compiling_cuda_version,
        modulated_deform_conv_backward,
        modulated_deform_conv_forward,
        ms_deform_attn_backward,
        ms_deform_attn_forward,
        nms,
        nms_match,
        roi_align_backward,
        roi_align_forward,
        sigmoid_focal_loss_backward,
        sigmoid_focal_loss_forward,
        softnms,
    )
}


def fill(module: ModuleType) -> None:
    """Make ``module`` what mmcv takes for its compiled ops."""
    vars(module).update(OPS, __getattr__=missing)


def missing(name: str) -> Callable[..., NoReturn]:
    """``__getattr__`` of the stand-in: any other op, which raises when it is called.

    mmcv asks for every op of a file when the file is imported, whether or not anybody calls it.
    """
    if name.startswith('__'):
        raise AttributeError(name)

    def op(*_args: object, **_kwargs: object) -> NoReturn:
        raise MissingOpError(name)

    op.__name__ = op.__qualname__ = name
    return op
