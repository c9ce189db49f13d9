"""Learning rates that fall from the last layer of a backbone to the first."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from mmengine.optim import DefaultOptimWrapperConstructor
from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS
from torch import nn

from ..errors import UserError

#: Where models that train another one have it.
_WRAPPED = ('student', 'model')


@runtime_checkable
class Layered(Protocol):
    """A backbone that knows the order of its layers."""

    def layers(self) -> list[list[str]]:
        """Names of its parameters, from the first layer to the last, in groups that learn at one rate."""
        ...


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class LayerDecay(DefaultOptimWrapperConstructor):
    """MMEngine's constructor of optimisers, with layer-wise decay of the learning rate (arXiv 2003.10555; 2106.08254).

    The last layer of the backbone learns at ``rate`` times the learning rate, the one before at ``rate`` squared, and
    so on; neck and heads at the whole of it. For every backbone of this package, :class:`.timm_features.TimmFeatures`
    included::

        optim_wrapper = dict(constructor='LayerDecay', paramwise_cfg=dict(layer_decay=0.8, norm_decay_mult=0.0), ...)

    ``paramwise_cfg`` takes all that MMEngine's own constructor takes, besides ``layer_decay``.

    Raises:
        UserError: no ``layer_decay`` from 0 to 1; or, with a model, no ``backbone`` that knows its layers.
    """

    def __init__(self, optim_wrapper_cfg: dict, paramwise_cfg: dict | None = None) -> None:
        super().__init__(optim_wrapper_cfg, paramwise_cfg)
        rate = (paramwise_cfg or {}).get('layer_decay')
        if not isinstance(rate, int | float) or not 0 < rate <= 1:
            raise UserError(
                'LayerDecay needs the factor from layer to layer, above 0 and up to 1, as '
                f'paramwise_cfg=dict(layer_decay=0.8); got {rate!r}.'
            )
        if self.base_lr is None:
            raise UserError('LayerDecay needs a learning rate to scale: optimizer=dict(lr=...).')
        self.rate, self.rate_of_heads = float(rate), float(self.base_lr)

    def add_params(
        self, params: list[dict], module: nn.Module, prefix: str = '', is_dcn_module: int | float | None = None
    ) -> None:
        """Add a group for each parameter, its rate scaled; called for the whole model first, then for its parts."""
        super().add_params(params, module, prefix, is_dcn_module)
        if prefix:
            return
        factors = self._factors(module)
        for group in params:
            factor = factors.get(id(group['params'][0]), 1.0)
            group['lr'] = group.get('lr', self.rate_of_heads) * factor

    def _factors(self, model: nn.Module) -> dict[int, float]:
        """{id of a parameter: factor of its learning rate}, for those of the backbone."""
        holders = [model, *(getattr(model, name, None) for name in _WRAPPED)]
        backbones = (getattr(holder, 'backbone', None) for holder in holders)
        backbone: Any = next((found for found in backbones if found is not None), None)
        layered = isinstance(backbone, Layered) and not isinstance(backbone.layers, nn.Module)  # PVT has a list of it
        if not layered or not isinstance(backbone, nn.Module):
            raise UserError(
                "LayerDecay reads the order of layers from the model's backbone, and "
                f'{type(backbone).__name__} tells none: use a backbone of effformer_dense (EfficientFormerV1, '
                'EfficientFormerV2, EdgeViT, TimmFeatures).'
            )
        layers: list[list[str]] = backbone.layers()  # type: ignore[operator]
        parameters = dict(backbone.named_parameters())
        return {
            id(parameters[name]): self.rate ** (len(layers) - place)
            for place, names in enumerate(layers)
            for name in names
        }
