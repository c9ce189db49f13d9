"""Which layout a state dict has, and its way into ours.

A layout is recognised from its keys alone. ``to_native`` dispatches to one pure function per layout, each of
them a rename table; entries that need not be kept are returned with the reason.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from enum import Enum

from torch import Tensor

from ..variants import ALL_VARIANTS, Variant
from .official import official_to_native
from .timm_layout import timm_to_native


class Layout(str, Enum):
    """Where a file comes from."""

    NATIVE = 'effformer_dense'
    OFFICIAL = 'official'
    TIMM = 'timm'


def detect_layout(keys: Iterable[str]) -> Layout | None:
    """Layout of a backbone's keys (without prefix); None if it is none that we know."""
    names = set(keys)
    if 'patch_embed.0.weight' in names:
        return Layout.OFFICIAL
    if 'stem.conv1.weight' in names or 'stem.conv1.bn.weight' in names:
        return Layout.TIMM
    if 'stem.conv1.norm.weight' in names:
        return Layout.NATIVE
    return None


def to_native(state_dict: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Rename a backbone's entries into our layout.

    Args:
        state_dict: entries of one backbone, without prefix. Not modified.

    Returns:
        The renamed entries, and {key of the file: reason} for those left out.

    Raises:
        ValueError: a layout we do not know.
    """
    layout = detect_layout(state_dict)
    if layout is Layout.NATIVE:
        return dict(state_dict), {}
    if layout is Layout.OFFICIAL:
        return official_to_native(state_dict)
    if layout is Layout.TIMM:
        return timm_to_native(state_dict)
    sample = ', '.join(sorted(state_dict)[:5])
    raise ValueError(
        'These weights have no layout that effformer_dense knows (its own, the published code, timm). '
        f'The first of {len(state_dict)} keys: {sample}.'
    )


def identify_variant(native: Mapping[str, Tensor]) -> Variant | None:
    """Variant that entries in our layout belong to, from widths and depths; None if none fits."""
    widths = tuple(_output_width(native, stage) for stage in range(4))
    depths = tuple(_depth(native, stage) for stage in range(4))
    for row in ALL_VARIANTS:
        if (row.widths, row.depths) == (widths, depths):
            return row
    return None


def _output_width(native: Mapping[str, Tensor], stage: int) -> int | None:
    names = ('stem.conv2.conv.weight',)
    if stage > 0:
        names = (f'stages.{stage}.downsample.conv.weight', f'stages.{stage}.downsample.conv.conv.weight')
    return next((native[name].shape[0] for name in names if name in native), None)


def _depth(native: Mapping[str, Tensor], stage: int) -> int:
    pattern = re.compile(rf'stages\.{stage}\.blocks\.(\d+)\.')
    return len({match[1] for match in map(pattern.match, native) if match})
