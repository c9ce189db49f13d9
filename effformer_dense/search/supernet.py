"""A backbone that is any of its sub-networks: a row's ordinary backbone, run on views of the largest one's tensors.

No layer is elastic. A sub-network is built on the meta device, where it costs nothing, and called with slices of the
largest network's weights (``torch.func.functional_call``): gradients reach the largest network and are zero outside
the slice, and what is extracted computes the very same. Batch norms have weights and statistics of their own for each
number of channels, as in slimmable networks; norms without statistics are sliced as convolutions are.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from mmengine.registry import MODELS
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.modules.batchnorm import _BatchNorm

from ..backbones.base import DenseBackbone
from ..backbones.efficientformer_v1 import PoolingBlock
from ..backbones.layers import LayerScale
from ..errors import UserError
from ..variants import V1
from .networks import build_backbone
from .space import Space, State

#: Layer scales of a supernet that starts from nothing. At the published 1e-5, every block could be dropped for free in
#: trainings of a search's length.
LAYER_SCALE = 0.1
#: Steps in which a norm was used from which on it counts as trained.
TRAINED_UPDATES = 20
#: Shells that are kept; each is some hundred objects without values.
_KEPT_SHELLS = 256


@MODELS.register_module()
class Supernet(BaseModule):
    """The largest network of a space, run as the sub-network that ``state`` names.

    Maps are filled up with zeros to the widths of the largest network, which any neck takes unchanged.

    Args:
        backbone: config of a backbone of the space's family; its ``arch`` gives way to the space, and its ``init_cfg``
            initialises the largest network.
        space: see :meth:`.space.Space.from_config`.

    Attributes:
        state: the sub-network that is run; the largest at first.
        out_channels, out_strides: those of the largest.

    Raises:
        UserError: a backbone without a space, blocks that are computed twice, or a wrong entry of ``space``.
    """

    state: State

    def __init__(self, backbone: Mapping[str, Any], space: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        options = copy.deepcopy(dict(backbone))
        family = str(options.pop('type'))
        self.space = Space.from_config(family, space)
        if options.get('with_cp'):
            raise UserError('with_cp computes blocks twice, which a supernet cannot: leave it out.')
        options.pop('arch', None)
        self._initialised = bool(options.get('init_cfg'))
        self.options = {key: value for key, value in options.items() if key != 'init_cfg'}
        self.state = self.space.largest
        self.largest: DenseBackbone = build_backbone(self.state.row, **options)
        self.out_channels, self.out_strides = self.largest.out_channels, self.largest.out_strides
        self.pools = nn.ModuleDict(self._pools() if family == V1 else {})
        self.banks = nn.ModuleDict()
        self._norms = {name for name, module in self.named_modules() if isinstance(module, _BatchNorm)}
        self._build_shell = lru_cache(maxsize=_KEPT_SHELLS)(self._shell)
        self._answer: tuple[Tensor, ...] | None = None
        self._create_banks()

    def init_weights(self) -> None:
        """As ``init_cfg`` of the backbone says; without one, layer scales that let short trainings see their blocks."""
        super().init_weights()
        if not self._initialised:
            for module in self.modules():
                if isinstance(module, LayerScale):
                    nn.init.constant_(module.weight, LAYER_SCALE)

    def _pools(self) -> dict[str, nn.Module]:
        """V1's positions that can attend can also pool: the other block of each, in the largest network's widths."""
        space = self.space
        made: dict[str, nn.Module] = {}
        for stage, (depth, attending) in enumerate(zip(space.depths, space.attention, strict=True)):
            for position in range(depth - attending, depth):
                width = space.widths[stage][-1]
                made[f'{stage}_{position}'] = PoolingBlock(width, space.ratios[-1], self.largest.norm_cfg, 0.0)
        return made

    def _create_banks(self) -> None:
        """A norm for each number of channels that one of the largest network can be left with."""
        ratios = self.space.ratios
        for place in range(max(map(len, self.space.widths))):
            widths = tuple(choices[min(place, len(choices) - 1)] for choices in self.space.widths)
            state = replace(self.space.largest, widths=widths)
            for either in (state, replace(state, attention=(0, 0, 0, 0))) if self.pools else (state,):
                norms = [(name, m) for name, m in self._shell(either).named_modules() if isinstance(m, _BatchNorm)]
                for name, norm in norms:
                    channels, source = norm.num_features, self._source_name(name, either)
                    hidden = '.mlp.fc1.' in name or '.mlp.mid.' in name
                    counts = [channels // ratios[-1] * ratio for ratio in ratios] if hidden else [channels]
                    for count in counts:
                        self._create_bank(source, count)

    def _create_bank(self, module: str, channels: int) -> None:
        norm, key = self.get_submodule(module), module.replace('.', '/')
        assert isinstance(norm, _BatchNorm)
        if norm.num_features == channels:
            return
        if key not in self.banks:
            self.banks[key] = nn.ModuleDict()
        bank: Any = self.banks[key]
        if str(channels) not in bank:
            bank[str(channels)] = type(norm)(channels, norm.eps, norm.momentum, norm.affine, norm.track_running_stats)

    def _shell(self, state: State) -> DenseBackbone:
        with torch.device('meta'):
            return build_backbone(state.row, **self.options)

    def shell(self, state: State) -> DenseBackbone:
        """The ordinary backbone of a state, without values."""
        return self._build_shell(state)

    def tensors(self, state: State, trained: bool = False) -> dict[str, Tensor]:
        """What a state's backbone computes with, by its names: views of this network's tensors.

        Args:
            state: of the space.
            trained: take the affine parameters of a norm that was hardly ever used, which are those it started with,
                from the next wider one that was. (Statistics are to be estimated anew in any case.)
        """
        return self._views(self.shell(state), partial(self._source_name, state=state), trained)

    def _views(self, shell: nn.Module, source_of: Callable[[str], str], trained: bool = False) -> dict[str, Tensor]:
        """What ``shell`` computes with, by its names, from where ``source_of`` says it is in this network."""
        found = {}
        for name, wanted in shell.state_dict(keep_vars=True).items():
            module, _, leaf = source_of(name).rpartition('.')
            if module in self._norms:
                channels: Any = shell.get_submodule(name.rpartition('.')[0]).num_features
                module = self._bank(module, channels, trained and leaf in ('weight', 'bias'))
            value = getattr(self.get_submodule(module), leaf)
            found[name] = value[tuple(slice(0, side) for side in wanted.shape)]
        return found

    def _bank(self, module: str, channels: int, trained: bool) -> str:
        """Name of the norm for so many channels, or ``trained`` for as few more as possible."""
        key = module.replace('.', '/')
        counts = sorted(map(int, self.banks.get_submodule(key))) if key in self.banks else []  # type: ignore[call-overload]
        for count in [count for count in counts if count >= channels]:
            name = f'banks.{key}.{count}'
            if not trained or self._updates(name) >= TRAINED_UPDATES:
                return name
        return module

    def _updates(self, norm: str) -> int:
        counter: Any = self.get_submodule(norm).num_batches_tracked
        return 0 if counter is None else int(counter)

    def untrained(self, state: State) -> int:
        """How many norms of a state were hardly ever used."""
        own, taken = self.tensors(state), self.tensors(state, trained=True)
        return sum(own[name].data_ptr() != taken[name].data_ptr() for name in own if name.endswith('.norm.weight'))

    def _source_name(self, name: str, state: State) -> str:
        """Where a state's entry is in this network."""
        parts = name.split('.')
        if parts[0] == 'stages' and parts[2] == 'blocks':
            stage, place = int(parts[1]), int(parts[3])
            position = state.blocks[stage][place].position
            pools = place < len(state.blocks[stage]) - state.attention[stage]
            key = f'{stage}_{position}'
            if pools and key in self.pools:
                return '.'.join(['pools', key, *parts[4:]])
            parts[3] = str(position)
        elif parts[2:3] == ['downsample'] and self._downsample_path(parts, state):
            parts.insert(3, 'conv')
        return '.'.join(['largest', *parts])

    def _downsample_path(self, parts: list[str], state: State) -> bool:
        """Whether a plain step down is one of two paths in the largest network."""
        return parts[1] == '3' and self.space.attention_downsample and not state.attention_downsample

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Maps of the current state, as a backbone gives them, filled up to the largest widths."""
        return self.padded(self._run(images) if self._answer is None else self._answer)

    def _run(self, images: Tensor) -> tuple[Tensor, ...]:
        shell = self.shell(self.state).train(self.training)
        return functional_call(shell, self.tensors(self.state), (images,))

    def padded(self, maps: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Maps with zeros for the channels that the largest network has besides."""
        pairs = zip(maps, self.out_channels, strict=True)
        return tuple(F.pad(x, (0, 0, 0, 0, 0, width - x.shape[1])) if x.shape[1] < width else x for x, width in pairs)

    @contextmanager
    def answering(self, maps: tuple[Tensor, ...]) -> Iterator[None]:
        """Let every call give these maps."""
        self._answer = maps
        try:
            yield
        finally:
            self._answer = None

    def extract(self, state: State, trained: bool = False) -> dict[str, Tensor]:
        """Weights of a state's backbone: copies, no larger than its row; ``trained`` as of :meth:`tensors`."""
        return {name: value.detach().clone() for name, value in self.tensors(state, trained).items()}
