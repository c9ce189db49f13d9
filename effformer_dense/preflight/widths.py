"""Whether what comes after a backbone expects the channels of its maps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..backbones.base import DenseBackbone
from ..backbones.timm_features import TimmFeatures
from ..errors import UserError

#: Parts of models without a neck that take a backbone's maps.
_HEADS = ('panoptic_head', 'decode_head', 'auxiliary_head')


def check_widths(model: Mapping[str, Any], backbone: DenseBackbone | TimmFeatures) -> None:
    """Check that the neck, or without one the heads, expect the channels that the backbone gives.

    Args:
        model: its config.
        backbone: built of it.

    Raises:
        UserError: they do not; the entry to be set is named.
    """
    name = backbone.variant.name if isinstance(backbone, DenseBackbone) else f"timm's {backbone.model_name}"
    for path, found, wanted in expected_widths(model, backbone.out_channels):
        if found != wanted:
            setting = f'{path}={wanted}'.replace(', ', ',')  # as the command line takes it
            raise UserError(f'{path} is {found}, and {name} gives {wanted}. Set {setting}.')


def expected_widths(model: Mapping[str, Any], widths: tuple[int, ...]) -> Iterator[tuple[str, Any, Any]]:
    """Entries of a model's config, by their paths, with what they are and what these channels of maps ask for."""
    neck = model.get('neck')
    if neck:
        place, first = ('model.neck.0', neck[0]) if isinstance(neck, list | tuple) else ('model.neck', neck)
        if isinstance(first.get('in_channels'), list | tuple):
            yield f'{place}.in_channels', list(first['in_channels']), list(widths)
        return
    for key in _HEADS:
        heads = model.get(key) or ()
        several = isinstance(heads, list | tuple)
        for number, head in enumerate(heads if several else [heads]):
            yield from _of_head(f'model.{key}.{number}' if several else f'model.{key}', head, widths)


def _of_head(path: str, head: Mapping[str, Any], widths: tuple[int, ...]) -> Iterator[tuple[str, Any, Any]]:
    channels, places = head.get('in_channels'), head.get('in_index', -1)
    if isinstance(channels, list | tuple):
        chosen = places if isinstance(places, list | tuple) else range(len(widths))
        if all(-len(widths) <= place < len(widths) for place in chosen):
            yield f'{path}.in_channels', list(channels), [widths[place] for place in chosen]
    elif isinstance(channels, int) and isinstance(places, int) and -len(widths) <= places < len(widths):
        yield f'{path}.in_channels', channels, widths[places]
    if isinstance(head.get('c1_in_channels'), int) and head['c1_in_channels'] > 0:  # DeepLabV3+: its first map
        yield f'{path}.c1_in_channels', head['c1_in_channels'], widths[0]
