"""What all families share: options, the walk through the stages, freezing, checkpointing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, ClassVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from ..errors import UserError
from ..rows import find_row
from ..variants import MIN_SIDE_PX, STRIDES, Variant
from .recorded import OutputNorm
from .tracing import has_values, is_recording, wants_standard_operators
from .weights import TakesWeights


class Stage(nn.Module):
    """Downsampling (none in the first stage), then blocks on maps (B, C, H, W)."""

    def __init__(self, downsample: nn.Module | None, blocks: Sequence[nn.Module], with_cp: bool) -> None:
        super().__init__()
        self.downsample = downsample
        self.blocks = nn.ModuleList(blocks)
        self.with_cp = with_cp

    def forward(self, x: Tensor) -> Tensor:
        if self.downsample is not None:
            x = self.downsample(x)
        for block in self.blocks:
            if self.with_cp and self.training and torch.is_grad_enabled():
                x = _recomputed(block, x)
            else:
                x = block(x)
        return x


class DenseBackbone(TakesWeights):
    """Base of the backbones: an image of any size to maps at 1/4, 1/8, 1/16 and 1/32, of five stages 1/64 as well.

    A family calls :meth:`_assemble` at the end of its ``__init__``, once all is set that its parts are built from.

    Args:
        arch: key of a published size, or a dict that describes another network (:func:`..rows.find_row`).
        out_indices: which stages to return, increasing, from 0 on. Stages past the last one are neither run
            nor trained.
        drop_path_rate: stochastic depth rate of the last block; None for the variant's own.
        frozen_stages: -1 freezes nothing, 0 the stem, k the stem and the first k stages.
        norm_eval: keep batch norm statistics fixed in training.
        norm_cfg: norm layer of the convolutions, see :func:`.layers.build_norm`; None for batch norm.
        with_cp: recompute each block in the backward pass, for less memory.
        out_norm: GroupNorm with one group on every output; None: as in the published dense models (only V1 has it).
        init_cfg: MMEngine's initialisation config, for example
            ``dict(type='Pretrained', checkpoint='timm://efficientformerv2_s0.snap_dist_in1k')``.

    Attributes:
        out_channels, out_strides: one entry per returned map.

    Raises:
        UserError: an argument outside its choices.
    """

    #: Whether the family's published dense models have ``out_norm``.
    norms_outputs: ClassVar[bool] = False

    def __init__(
        self,
        arch: str | Mapping[str, Any],
        out_indices: Sequence[int] = (0, 1, 2, 3),
        drop_path_rate: float | None = None,
        frozen_stages: int = -1,
        norm_eval: bool = False,
        norm_cfg: dict | None = None,
        with_cp: bool = False,
        out_norm: bool | None = None,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.variant: Variant = find_row(type(self).__name__, arch)
        variant = self.variant
        self.arch = variant.arch
        self.drop_path_rate = variant.drop_path_rate if drop_path_rate is None else drop_path_rate
        check_stages(out_indices, frozen_stages, len(variant.depths))
        if not 0 <= self.drop_path_rate < 1:
            raise UserError(f'drop_path_rate must lie in [0, 1); got {self.drop_path_rate!r}.')
        self.out_indices = tuple(out_indices)
        self.out_channels = tuple(variant.widths[index] for index in self.out_indices)
        self.out_strides = tuple(STRIDES[index] for index in self.out_indices)
        self.frozen_stages, self.norm_eval, self.with_cp = frozen_stages, norm_eval, with_cp
        self.norm_cfg = dict(norm_cfg or {'type': 'BN'})
        self.out_norm = self.norms_outputs if out_norm is None else out_norm

    def _assemble(self) -> None:
        """Build all parts, and freeze those that are to be."""
        self.stem = self._build_stem()
        self.stages = nn.ModuleList(self._build_stage(index) for index in range(len(self.variant.depths)))
        normed = self.out_indices if self.out_norm else ()
        self.out_norms = nn.ModuleDict({str(index): OutputNorm(self.variant.widths[index]) for index in normed})
        self.apply(_init_linear)
        self._freeze()

    def _build_stem(self) -> nn.Module:
        raise NotImplementedError

    def _build_stage(self, index: int) -> Stage:
        raise NotImplementedError

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Features of a batch of images.

        Args:
            images: shape (B, 3, H, W), H and W at least 32, no divisibility asked.

        Returns:
            One map (B, C_i, ceil(H / s_i), ceil(W / s_i)) per entry of ``out_indices``.

        Raises:
            UserError: wrong shape, a side under 32 px, or, on a CPU, values that are not finite.
        """
        _check_images(images)
        # CPU convolutions are fastest on channels-last maps. Returned ones are not: mmcv's RoIAlign, for one, reads any
        # memory as if channels came first.
        channels_last = images.device.type == 'cpu' and not wants_standard_operators()
        x = self.stem(images.contiguous(memory_format=torch.channels_last) if channels_last else images)
        outputs = []
        for index, stage in enumerate(self.stages[: self.out_indices[-1] + 1]):
            x = stage(x)
            if index in self.out_indices:
                # Before the norm: torch 2.11's group norm crashes on channels-last maps that want no gradient.
                output = x.contiguous() if channels_last else x
                outputs.append(self.out_norms[str(index)](output) if self.out_norms else output)
        if self.training and dist.is_available() and dist.is_initialized():
            outputs[-1] = reached_by(outputs[-1], list(self.out_norms.parameters()))
        return tuple(outputs)

    def layers(self) -> list[list[str]]:
        """Names of the parameters, from the first layer to the last, in groups that learn at one rate.

        The stem, then the blocks, each step down with the block after it, then output norms (:mod:`.layer_decay`).
        """
        groups: dict[str, list[str]] = {}
        for name, _ in self.named_parameters():
            parts = name.split('.')
            if parts[0] == 'stages':
                place = parts[3] if parts[2] == 'blocks' else '0'
                groups.setdefault(f'{parts[1]}.{place}', []).append(name)
            else:
                groups.setdefault(parts[0], []).append(name)
        return list(groups.values())

    def train(self, mode: bool = True) -> DenseBackbone:
        """Set training mode; frozen stages, and with ``norm_eval`` all batch norms, stay in evaluation mode."""
        super().train(mode)
        if mode:
            for module in self._frozen_modules():
                module.eval()
            if self.norm_eval:
                for module in self.modules():
                    if isinstance(module, _BatchNorm):
                        module.eval()
        return self

    def _freeze(self) -> None:
        unused = self.stages[self.out_indices[-1] + 1 :]
        for module in (*self._frozen_modules(), *unused):
            module.requires_grad_(False)

    def _frozen_modules(self) -> list[nn.Module]:
        return [self.stem, *self.stages][: self.frozen_stages + 1]


def reached_by(output: Tensor, parameters: Sequence[nn.Parameter]) -> Tensor:
    """The same values, on which ``parameters`` depend with a gradient of zero.

    DistributedDataParallel waits for the gradient of every parameter, and stops in the second iteration if a neck
    leaves a map unused whose own layers nothing else reaches (RetinaNet's FPN takes its maps from stride 8 on).
    """
    if not parameters:
        return output
    nothing = 0 * torch.stack([parameter.sum() for parameter in parameters]).sum()
    return output + nothing.to(output.dtype)


def check_stages(out_indices: Sequence[int], frozen_stages: int, stages: int = 4) -> None:
    """Raises ``UserError`` for stages that a backbone of so many does not have."""
    indices = list(out_indices)
    if not indices or indices != sorted(set(indices)) or not set(indices) <= set(range(stages)):
        raise UserError(f'out_indices must be increasing stage indices from 0 to {stages - 1}; got {out_indices!r}.')
    if frozen_stages not in range(-1, stages + 1):
        raise UserError(f'frozen_stages must be -1 (nothing) to {stages} (stem and all stages); got {frozen_stages!r}.')


def check_shape(images: Tensor) -> None:
    """Raises ``UserError`` for images that no backbone takes. While a graph is recorded, sides are not asked for."""
    if images.dim() != 4 or images.shape[1] != 3:
        raise UserError(f'images must have shape (B, 3, H, W); got {tuple(images.shape)}.')
    if not is_recording() and min(images.shape[2:]) < MIN_SIDE_PX:
        height, width = images.shape[2:]
        raise UserError(
            f'Both sides must be at least {MIN_SIDE_PX} px; got height {height}, width {width}. '
            'Resize or pad the image before it reaches the backbone.'
        )


def _check_images(images: Tensor) -> None:
    check_shape(images)
    if is_recording():
        return
    # One pass over the pixels; elsewhere than on a CPU the answer would make the host wait for the device.
    if images.device.type != 'cpu' or not has_values(images):
        return
    if not torch.isfinite(images.sum()) and not torch.isfinite(images).all():
        bad = int((~torch.isfinite(images)).sum())
        raise UserError(
            f'images holds {bad} values that are NaN or infinite, of {images.numel()}. '
            'Check the pictures and the mean and std of the data preprocessor.'
        )


def _init_linear(module: nn.Module) -> None:
    """Truncated normal for linear layers as in the published code; convolutions keep torch's default."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)


def _recomputed(block: nn.Module, x: Tensor) -> Tensor:
    if is_recording():  # whose compiler changes statistics once, and knows no contexts
        return checkpoint(block, x, use_reentrant=False)
    return checkpoint(block, x, use_reentrant=False, context_fn=_recompute_contexts(block))


def _recompute_contexts(block: nn.Module) -> Callable[[], tuple[AbstractContextManager, AbstractContextManager]]:
    """Contexts of the forward pass and of its recomputation, which must not update batch norm a second time."""
    return lambda: (nullcontext(), _untracked_statistics(block))


@contextmanager
def _untracked_statistics(block: nn.Module) -> Iterator[None]:
    norms = [m for m in block.modules() if isinstance(m, _BatchNorm) and m.training and m.track_running_stats]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
            if norm.num_batches_tracked is not None:
                norm.num_batches_tracked.sub_(1)
