"""Building blocks that several families share."""

from __future__ import annotations

from collections import OrderedDict

import torch
from mmengine.registry import MODELS
from torch import Tensor, nn
from torch.func import functional_call

from ..errors import UserError
from .folding import FoldedConv, FoldedLinear, can_fold, fold_norm, folds_in_training, tuned
from .norm_gelu import activate, batch_norm_gelu, is_lean, may_overwrite
from .tracing import is_recording

NORM_LAYERS: dict[str, type[nn.Module]] = {
    'BN': nn.BatchNorm2d,
    'SyncBN': nn.SyncBatchNorm,
    'GN': nn.GroupNorm,
}


def build_norm(num_channels: int, norm_cfg: dict) -> nn.Module:
    """Build the normalisation layer that a ``norm_cfg`` describes.

    Args:
        num_channels: channels it normalises.
        norm_cfg: ``type`` ('BN', 'SyncBN', 'GN', or any norm layer in MMEngine's ``MODELS``), ``requires_grad``
            (default True), and the layer's own arguments (``eps``, ``momentum``, ``num_groups``, ...).

    Raises:
        UserError: ``type`` missing or unknown.
    """
    options = dict(norm_cfg)
    kind = options.pop('type', None)
    requires_grad = options.pop('requires_grad', True)
    layer = NORM_LAYERS.get(kind) or (MODELS.get(kind) if isinstance(kind, str) else None)
    if layer is None:
        raise UserError(
            f'norm_cfg must name a norm layer in type: {", ".join(NORM_LAYERS)} '
            f'or one registered in MODELS; got {norm_cfg!r}.'
        )
    if issubclass(layer, nn.GroupNorm):
        norm = layer(num_channels=num_channels, **options)
    else:
        norm = layer(num_channels, **options)
    for parameter in norm.parameters():
        parameter.requires_grad = requires_grad
    return norm


class ConvNorm(nn.Module):
    """Convolution with bias, then normalisation. Padding keeps ``ceil(size / stride)``."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        norm_cfg: dict,
        kernel_size: int = 1,
        stride: int = 1,
        groups: int = 1,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size, stride, kernel_size // 2, groups=groups)
        self.norm = build_norm(out_channels, norm_cfg)

    def forward(self, x: Tensor, scale: Tensor | None = None) -> Tensor:
        """``scale``: factor per channel of the result, shape (C',)."""
        if folds_in_training(self.norm, self.conv):
            return tuned(self.conv, self.norm, x, scale)
        x = self.conv(x)
        if scale is None:
            return self.norm(x)
        affine = dict(self.norm.named_parameters(recurse=False))
        if affine.keys() != {'weight', 'bias'}:
            return self.norm(x) * scale[:, None, None]
        return functional_call(self.norm, {name: value * scale for name, value in affine.items()}, (x,))

    def fused(self) -> nn.Module:
        """For inference: one convolution, with its activation if it has one; itself where the norm cannot be folded."""
        return FoldedConv(fold_norm(self.conv, self.norm)) if can_fold(self.norm) else self


class ConvNormAct(ConvNorm):
    """:class:`ConvNorm` (``geometry``: its further arguments), then an activation."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        norm_cfg: dict,
        activation: type[nn.Module] = nn.GELU,
        **geometry: int,
    ) -> None:
        super().__init__(in_channels, out_channels, norm_cfg, **geometry)
        self.activation = activation()

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]  # nothing scales what is activated
        if folds_in_training(self.norm, self.conv):
            return self.activation(tuned(self.conv, self.norm, x))
        x = self.conv(x)
        if is_lean(self.norm, self.activation, x):
            return batch_norm_gelu(self.norm, x)
        return activate(self.norm(x), self.activation, self.norm)

    def fused(self) -> nn.Module:
        return FoldedConv(fold_norm(self.conv, self.norm), self.activation) if can_fold(self.norm) else self


class Stem(nn.Module):
    """Two 3x3 convolutions of stride 2: (B, 3, H, W) to (B, C, ceil(H / 4), ceil(W / 4))."""

    def __init__(self, out_channels: int, norm_cfg: dict, activation: type[nn.Module]) -> None:
        super().__init__()
        halfway = out_channels // 2
        self.conv1 = ConvNormAct(3, halfway, norm_cfg, kernel_size=3, stride=2, activation=activation)
        self.conv2 = ConvNormAct(halfway, out_channels, norm_cfg, kernel_size=3, stride=2, activation=activation)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv2(self.conv1(x))


class ConvMlp(nn.Module):
    """MLP of 1x1 convolutions on maps; with ``depthwise``, V2's unified FFN.

    The unified FFN puts a 3x3 depth-wise convolution between the two, which takes the place of V1's
    pooling as the local token mixer (arXiv 2212.08059, "Token mixers vs. feed forward network").
    """

    def __init__(self, channels: int, expansion_ratio: int, norm_cfg: dict, depthwise: bool) -> None:
        super().__init__()
        self.hidden = hidden = channels * expansion_ratio
        self.fc1 = ConvNormAct(channels, hidden, norm_cfg)
        self.mid = ConvNormAct(hidden, hidden, norm_cfg, kernel_size=3, groups=hidden) if depthwise else None
        self.fc2 = ConvNorm(hidden, channels, norm_cfg)

    def forward(self, x: Tensor, scale: Tensor | None = None) -> Tensor:
        """``scale``: factor per channel of the result, shape (C,)."""
        x = self.fc1(x)
        if self.mid is not None:
            x = self.mid(x)
        return self.fc2(x) if scale is None else self.fc2(x, scale)


class TokenMlp(nn.Module):
    """Two linear layers on tokens (..., C)."""

    def __init__(self, channels: int, expansion_ratio: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(channels, channels * expansion_ratio)
        self.fc2 = nn.Linear(channels * expansion_ratio, channels)
        self.activation = nn.GELU()

    def forward(self, tokens: Tensor) -> Tensor:
        return self.fc2(self.activation(self.fc1(tokens)))

    def fused(self) -> nn.Module:
        """For inference: the activation goes into the layer before it."""
        return nn.Sequential(OrderedDict(fc1=FoldedLinear(self.fc1, self.activation), fc2=self.fc2))


class LayerScale(nn.Module):
    """Learnable factor per channel of a residual branch (arXiv 2103.17239).

    On maps (B, C, H, W), or with ``of_tokens`` on tokens (..., C).
    """

    def __init__(self, channels: int, of_tokens: bool = False, initial: float = 1e-5) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((channels,), initial))
        self.of_tokens = of_tokens

    def forward(self, x: Tensor) -> Tensor:
        return x * (self.weight if self.of_tokens else self.weight[:, None, None])

    def after(self, branch: nn.Module, x: Tensor) -> Tensor:
        """``self(branch(x))`` in less memory.

        The branch ends in a :class:`ConvNorm` and passes it the factor, which in training goes into the norm's affine
        parameters: what the norm gives need not be kept to find the gradient of the factor.
        """
        if self.training and torch.is_grad_enabled() and not is_recording():
            return branch(x, self.weight)
        out = branch(x)
        if out.dtype == self.weight.dtype and may_overwrite(out, (self, *branch.modules())):
            return out.mul_(self.weight[:, None, None])
        return self(out)


class DropPath(nn.Module):
    """Stochastic depth (arXiv 1603.09382): in training, zero a residual branch per sample.

    Surviving branches are divided by the keep probability, so the expectation stays.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.rate == 0.0:
            return x
        keep = 1 - self.rate
        return x * x.new_empty((x.shape[0], *(1,) * (x.dim() - 1))).bernoulli_(keep).div_(keep)

    def extra_repr(self) -> str:
        return f'rate={self.rate:.3f}'


def drop_path_rates(rate: float, depths: tuple[int, ...]) -> list[list[float]]:
    """Linear schedule over all blocks, from 0 at the first to ``rate`` at the last, split by stage."""
    total = sum(depths)
    schedule = [rate * index / max(total - 1, 1) for index in range(total)]
    starts = [sum(depths[:stage]) for stage in range(len(depths))]
    return [schedule[start : start + depth] for start, depth in zip(starts, depths, strict=True)]
