"""Any model of timm that gives feature maps, as a backbone for dense prediction at any image size."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Sequence
from typing import Any

import torch.distributed as dist
import torch.nn.functional as F
from mmengine.registry import MODELS
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ..errors import MissingFileError, UserError
from .base import STRIDES, check_shape, check_stages, reached_by
from .pyramid import MAX_FACTOR, Resample
from .timm_models import EXAMPLES, Level, build, create, infos, levels_of, maps_of, rounded_up
from .timm_quirks import forget_biases, keep_activations, track_once
from .tracing import is_recording
from .weights import TakesWeights


@MODELS.register_module()
class TimmFeatures(TakesWeights):
    """A model of timm as a backbone: an image of any size to maps at 1/4, 1/8, 1/16 and 1/32.

    Of each stride the deepest map that the model has is taken. A stride that it has not is made from the nearest map
    by learned layers, as the simple feature pyramid of ViTDet does (arXiv 2203.16527, section 3): plain vision
    transformers, which have one map, get all four in this way.

    Sides need not be multiples of anything. Where a model asks for that, or would cut what is left over, images are
    filled up with zeros at the right and below, and maps are cut to ``ceil(side / stride)``; :attr:`multiple_px` says
    of what.

    Args:
        model_name: as in ``timm.list_models()``, a tag included if you like.
        out_indices: which of the four maps to return, increasing.
        pretrained: start from timm's weights. They are fetched by ``init_weights``, which training calls, and
            loading a checkpoint does not need.
        img_size: (height, width) of all images, for models that take one size only: smaller ones are filled up with
            zeros.
        frozen_stages: -1 freezes nothing, 0 what comes before the first map, k the layers up to the one that gives the
            k-th of the maps at 1/4 to 1/32; of a model with maps of one stride, k quarters.
        norm_eval: keep batch norm statistics fixed in training.
        with_cp: recompute layers in the backward pass, for less memory, where the model can.
        model_args: further arguments of ``timm.create_model``, such as ``dict(drop_path_rate=0.1)``.
        init_cfg: MMEngine's initialisation config.

    Attributes:
        out_channels, out_strides: one entry per returned map.
        multiple_px: images are filled up to multiples of so many px; 1 where they are not.

    Raises:
        UserError: a name that timm has not (the nearest are named), or a model that gives no maps, or not of any size;
            or weights from two places.
        MissingPackageError: timm is not installed.

    Example:
        >>> net = TimmFeatures('repvit_m0_9')
        >>> [tuple(f.shape) for f in net(torch.rand(1, 3, 224, 333))]
        [(1, 48, 56, 84), (1, 96, 28, 42), (1, 192, 14, 21), (1, 384, 7, 11)]
    """

    def __init__(
        self,
        model_name: str,
        out_indices: Sequence[int] = (0, 1, 2, 3),
        pretrained: bool = False,
        img_size: tuple[int, int] | None = None,
        frozen_stages: int = -1,
        norm_eval: bool = False,
        with_cp: bool = False,
        model_args: dict | None = None,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        check_stages(out_indices, frozen_stages)
        self.model_name, self.pretrained = model_name, pretrained
        self._check_one_source()
        self.img_size = None if img_size is None else (img_size[0], img_size[1])
        self.frozen_stages, self.norm_eval = frozen_stages, norm_eval
        self.out_indices = tuple(out_indices)
        self.out_strides = tuple(STRIDES[index] for index in self.out_indices)
        self._arguments = dict(model_args or {})
        self.model, self.multiple_px = build(model_name, self.img_size, self._arguments)
        self.levels = [level for level in levels_of(self.model) if level.stride in STRIDES]
        sources = [self._source(stride) for stride in self.out_strides]
        self._prune(max(level.index for level in sources))
        self._sources = [level.index for level in sources]
        resamples = [
            Resample(level.channels, level.stride, stride)
            for level, stride in zip(sources, self.out_strides, strict=True)
        ]
        self.resamples = nn.ModuleList(resamples)
        self.out_channels = tuple(resample.out_channels for resample in resamples)
        if with_cp:
            self._recompute()
        self._freeze()
        self.register_load_state_dict_post_hook(forget_biases)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Features of a batch of images.

        Args:
            images: shape (B, 3, H, W), H and W at least 32.

        Returns:
            One map (B, C_i, ceil(H / s_i), ceil(W / s_i)) per entry of ``out_indices``.

        Raises:
            UserError: wrong shape, a side under 32 px, or an image larger than ``img_size``.
        """
        self._check(images)
        maps = maps_of(self.model, self._filled(images), self._sources)
        outputs = []
        for map_, resample, stride in zip(maps, self.resamples, self.out_strides, strict=True):
            # In these words: translators of programs take the quotient of a negative number to be rounded up.
            rows, columns = ((side + stride - 1) // stride for side in images.shape[2:])
            outputs.append(resample(map_)[:, :, :rows, :columns].contiguous())
        if self.training and dist.is_available() and dist.is_initialized():
            outputs[-1] = reached_by(outputs[-1], list(self.resamples.parameters()))
        return tuple(outputs)

    def init_weights(self) -> None:
        """Fetch timm's weights, if they are asked for; else initialise as ``init_cfg`` says.

        Raises:
            MissingFileError: they are neither cached nor to be had; the ways out are named.
        """
        super().init_weights()  # which lets timm's model start anew
        if self.pretrained:
            self.model.load_state_dict(self._fetch())

    def train(self, mode: bool = True) -> TimmFeatures:
        """Set training mode; frozen layers, and with ``norm_eval`` all batch norms, stay in evaluation mode."""
        super().train(mode)
        if mode:
            frozen = {id(module) for module in self._frozen_modules()}
            for module in self.modules():
                if id(module) in frozen or (self.norm_eval and isinstance(module, _BatchNorm)):
                    module.training = False
        return self

    def add_module(self, name: str, module: nn.Module | None) -> None:
        """Take a part in, as conversions to ``SyncBatchNorm`` do with every part that they have been through."""
        super().add_module(name, module)
        if name == 'model' and module is not None:
            keep_activations(module)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> TimmFeatures:
        """What is moved, or gets another type, is computed anew."""
        super()._apply(fn, recurse)
        forget_biases(self)
        return self

    def layers(self) -> list[list[str]]:
        """Names of the parameters, from the first layer to the last, in groups that learn at one rate.

        The groups are timm's own (``group_matcher``), or blocks by their names; what makes further maps comes last.
        """
        from timm.models import group_parameters

        matcher: Callable[..., Any] | None = getattr(self.model, 'group_matcher', None)
        if matcher is None:
            names = [name for name, _ in self.model.named_parameters()]
            groups = [list(group) for _, group in itertools.groupby(names, _block_of)]
        else:
            groups = list(group_parameters(self.model, matcher(coarse=False)).values())
        found = [[f'model.{name}' for name in group] for group in groups]
        last = [f'resamples.{name}' for name, _ in self.resamples.named_parameters()]
        return [*found, last] if last else found

    def _check_one_source(self) -> None:
        files = self.init_cfg if isinstance(self.init_cfg, list | tuple) else [self.init_cfg]
        named = next((one.get('checkpoint') for one in files if one and one.get('type') == 'Pretrained'), None)
        if self.pretrained and named is not None:
            raise UserError(
                f"pretrained=True asks for timm's weights of {self.model_name}, init_cfg for those of {named}: leave "
                'one of the two out.'
            )

    def _source(self, stride: int) -> Level:
        """The deepest map of a stride, or else of the nearest one from which it can be made."""
        strides = {level.stride for level in self.levels}
        reachable = [other for other in strides if max(other / stride, stride / other) <= MAX_FACTOR]
        if not reachable:
            given = ', '.join(str(level.stride) for level in levels_of(self.model))
            raise UserError(
                f"timm's {self.model_name} has maps of the strides {given}, and none near {stride}: maps are made from "
                f'others of up to {MAX_FACTOR} times their stride. Leave it out of out_indices, or take a model with '
                f'strides of 4, 8, 16 and 32, such as {EXAMPLES}.'
            )
        nearest = min(reachable, key=lambda other: (max(other / stride, stride / other), other))
        return [level for level in self.levels if level.stride == nearest][-1]

    def _prune(self, last: int) -> None:
        """Remove what comes after the last map that is wanted."""
        prune: Callable[..., Any] | None = getattr(self.model, 'prune_intermediate_layers', None)
        if prune is not None:
            prune([last], prune_norm=True, prune_head=True)

    def _recompute(self) -> None:
        try:
            self.model.set_grad_checkpointing(True)  # type: ignore[operator]
        except (AttributeError, AssertionError) as error:
            raise UserError(f"with_cp=True: timm's {self.model_name} cannot recompute its layers.") from error
        track_once(self.model)

    def _check(self, images: Tensor) -> None:
        check_shape(images)
        if is_recording():
            return
        height, width = images.shape[2:]
        if self.img_size is not None and (height > self.img_size[0] or width > self.img_size[1]):
            raise UserError(
                f'{self.model_name} was built for images of up to {self.img_size[0]} x {self.img_size[1]} px; got '
                f'{height} x {width}. Name a larger img_size, or resize.'
            )

    def _filled(self, images: Tensor) -> Tensor:
        height, width = images.shape[2:]
        wanted = self.img_size or [rounded_up(side, self.multiple_px) for side in (height, width)]
        if self.img_size is None and self.multiple_px == 1:
            return images
        return F.pad(images, (0, wanted[1] - width, 0, wanted[0] - height))

    def _fetch(self) -> dict[str, Tensor]:
        arguments = dict(img_size=self.img_size) if self.img_size is not None else {}
        try:
            source = create(self.model_name, {**self._arguments, **arguments}, pretrained=True)
        except UserError:
            raise
        except RuntimeError as error:
            if 'size mismatch' not in str(error):
                raise
            raise UserError(
                f"timm's weights of {self.model_name} are of another size than img_size={self.img_size}: take the one "
                'that they were trained at, or train without them: --from-scratch.'
            ) from error
        except Exception as error:  # the hub library passes on whatever its HTTP client raises
            raise MissingFileError(
                f"timm's weights of {self.model_name} could not be had ({type(error).__name__}: {error}). Run once "
                'with network, which keeps them in the cache of the hub library, copy that cache from another '
                'machine, or train without: --from-scratch.'
            ) from error
        own = self.model.state_dict()
        weights = {key: value for key, value in source.state_dict().items() if key in own}
        missing = own.keys() - weights.keys()
        if missing:
            raise UserError(f"timm's weights of {self.model_name} lack {', '.join(sorted(missing)[:3])}.")
        return weights

    def _freeze(self) -> None:
        for module in self._frozen_modules():
            for parameter in module.parameters(recurse=False):
                parameter.requires_grad = False

    def _frozen_modules(self) -> list[nn.Module]:
        """Modules up to the one that gives the last frozen map, in the order in which the model has them."""
        if self.frozen_stages < 0:
            return []
        modules = dict(self.model.named_modules())
        order = list(modules)
        end = self._frozen_end()
        first = _module_name(infos(self.model)[self.levels[0].index]['module'], modules)
        if end is None:
            return [modules[name] for name in order[: order.index(first)]]
        last = _module_name(infos(self.model)[end.index]['module'], modules)
        stop = max(place for place, name in enumerate(order) if name == last or name.startswith(f'{last}.'))
        return [modules[name] for name in order[: stop + 1]]

    def _frozen_end(self) -> Level | None:
        """The last map whose layers are frozen; None for what comes before the first."""
        if self.frozen_stages == 0:
            return None
        if len({level.stride for level in self.levels}) == 1:
            return self.levels[-(-len(self.levels) * self.frozen_stages // 4) - 1]
        ends = [level for level in self.levels if level.stride <= STRIDES[self.frozen_stages - 1]]
        return ends[-1] if ends else None


def _block_of(name: str) -> str:
    """The block that a parameter is in: its name up to the number of a block, or of a stage."""
    match = re.match(r'(?:\w+\.)?(?:\w+\.\d+\.)?\w+\.\d+\.', name)
    return match[0] if match else name.partition('.')[0]


def _module_name(name: str, modules: dict[str, nn.Module]) -> str:
    """timm's name of the module that gives a map, or of the nearest module around it."""
    while name not in modules:
        name = name.rpartition('.')[0]
    return name
