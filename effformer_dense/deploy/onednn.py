"""Convolutions that talk to oneDNN directly: one pass for convolution and activation, weights in its own order."""

from __future__ import annotations

from functools import cache
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..backbones.folding import FoldedConv
from ..backbones.tracing import is_recording, wants_standard_operators

#: Times that an input size comes before weights are brought into its order: as long as a few convolutions.
_OFTEN = 4


class _Packed:
    """Weights in oneDNN's order, for a first input size and for one that comes often.

    Attributes:
        key: of the weights as they were, and of the threads.
        weight: held as well, so that no others come to lie at their address.
        other: the second size, with its weights.
    """

    def __init__(self, key: tuple, weight: Tensor, shape: torch.Size, first: Tensor) -> None:
        self.key, self.weight = key, weight
        self._shape, self._first = shape, first
        self.other: tuple[torch.Size, Tensor] | None = None
        self._pending: tuple[torch.Size | None, int] = None, 0

    def of(self, shape: torch.Size) -> Tensor:
        """What is nearest to what this size wants."""
        return self.other[1] if self.other is not None and self.other[0] == shape else self._first

    def is_due(self, shape: torch.Size) -> bool:
        """Whether a size without weights of its own has come often enough to have some."""
        if shape == self._shape or (self.other is not None and shape == self.other[0]):
            return False
        pending, times = self._pending
        self._pending = shape, times + 1 if pending == shape else 1
        return self._pending[1] == _OFTEN


class OneDnnConv(FoldedConv):
    """A convolution and its activation, for inference.

    Computed by one operator of oneDNN on a CPU, in single precision, or in bfloat16 where the processor has AVX-512; as
    ever everywhere else, and where gradients are wanted, autocast is on, or a graph is compiled or exported.

    The weights are held a second time, in the order that oneDNN wants for the first input size, and a third time for
    another one that comes often, as the two heights of tiles do; at others it takes them from there, which can take
    many times as long as the convolution. They follow the weights through ``load_state_dict``, ``copy_``, ``.to()``
    and the like; only writes through ``.data``, of which torch keeps no count, escape.
    """

    #: oneDNN's name and algorithm.
    _POST_OPS: ClassVar[dict[type, tuple[str, str]]] = {
        type(None): ('none', ''),
        nn.GELU: ('gelu', 'none'),
        nn.ReLU: ('relu', ''),
    }
    #: Whether a second input size gets weights of its own.
    _packs_twice: ClassVar[bool] = True

    def __init__(self, conv: nn.Conv2d, activation: nn.Module | None = None) -> None:
        super().__init__(conv, activation)
        self._packed: _Packed | None = None

    def forward(self, x: Tensor) -> Tensor:
        if not self._onednn_takes(x):
            return super().forward(x)
        name, algorithm = self._POST_OPS[type(self.activation)]
        return torch.ops.mkldnn._convolution_pointwise(
            x, self._onednn_weight(x), self.bias, *self._geometry, name, [], algorithm
        )

    @property
    def _geometry(self) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], int]:
        assert not isinstance(self.padding, str), 'the backbones pad by numbers'
        return self.padding, self.stride, self.dilation, self.groups

    def _onednn_takes(self, x: Tensor) -> bool:
        activation, weight = self.activation, self.weight
        return (
            not is_recording()  # first: a compiler cannot follow all of the others
            and x.is_cpu
            and x.dtype == weight.dtype
            and (x.dtype == torch.float32 or (x.dtype == torch.bfloat16 and onednn_takes_bf16()))
            and type(activation) in self._POST_OPS
            and getattr(activation, 'approximate', 'none') == 'none'
            and torch.backends.mkldnn.is_available()
            and not (torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad))
            and not torch.is_autocast_enabled('cpu')
        )

    def _onednn_weight(self, x: Tensor) -> Tensor:
        weight = self.weight
        if weight.is_inference():  # inference tensors keep no count of changes
            return weight
        key = weight.data_ptr(), weight._version, torch.get_num_threads()  # which oneDNN's order may depend on
        packed = self._packed
        if packed is None or packed.key != key:
            packed = self._packed = _Packed(key, weight.detach(), x.shape, self._reordered(weight, x))
        elif self._packs_twice and packed.is_due(x.shape):
            packed.other = x.shape, self._reordered(weight, x)
        return packed.of(x.shape)

    def _reordered(self, weight: Tensor, x: Tensor) -> Tensor:
        return torch.ops.mkldnn._reorder_convolution_weight(weight, *self._geometry, list(x.shape))

    def _apply(self, *args, **kwargs) -> OneDnnConv:
        self._packed = None
        return super()._apply(*args, **kwargs)

    def __getstate__(self) -> dict:
        return {**self.__dict__, '_packed': None}


class OneDnnLinear(OneDnnConv):
    """A linear layer on grids of tokens (B, h, w, C), as the convolution that it is on maps."""

    def __init__(self, linear: nn.Linear, activation: nn.Module | None = None) -> None:
        conv = nn.Conv2d(linear.in_features, linear.out_features, kernel_size=1, device='meta')
        conv.weight = nn.Parameter(linear.weight.detach()[:, :, None, None], linear.weight.requires_grad)
        conv.bias = linear.bias
        super().__init__(conv, activation)

    def forward(self, tokens: Tensor) -> Tensor:
        if wants_standard_operators():
            tokens = F.linear(tokens, self.weight[:, :, 0, 0], self.bias)
            return tokens if self.activation is None else self.activation(tokens)
        return super().forward(tokens.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


@cache
def onednn_takes_bf16() -> bool:
    """Whether torch has oneDNN and its operators take bfloat16 here, which is not to say that they are fast."""
    return torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()


def use_onednn(backbone: nn.Module) -> None:
    """Replace the folded convolutions of a backbone, and its linear layers, by those of oneDNN."""
    for name, child in backbone.named_children():
        if type(child) is FoldedConv:
            setattr(backbone, name, OneDnnConv(child, child.activation))
        elif isinstance(child, nn.Linear):
            setattr(backbone, name, OneDnnLinear(child, getattr(child, 'activation', None)))
        else:
            use_onednn(child)
