"""Which layout a state dict has, and its way into ours.

A layout is recognised from its keys alone. ``to_native`` dispatches to one pure function per layout, each of
them a rename table; entries that need not be kept are returned with the reason.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from enum import Enum

from torch import Tensor

from ..errors import UserError
from ..variants import ALL_VARIANTS, Variant
from .huggingface import huggingface_to_native
from .mmpretrain import mmpretrain_to_native
from .official import official_to_native
from .timm_layout import timm_to_native


class Layout(str, Enum):
    """Where a file comes from."""

    NATIVE = 'effformer_dense'
    OFFICIAL = 'official'
    TIMM = 'timm'
    MMPRETRAIN = 'mmpretrain'
    HUGGING_FACE = 'Hugging Face'


#: Key that only this layout has, of its stem. The last one is looked for after all others.
_MARKERS: tuple[tuple[str, Layout], ...] = (
    ('patch_embed.0.weight', Layout.OFFICIAL),
    ('patch_embed.0.conv.weight', Layout.MMPRETRAIN),
    ('patch_embed.convolution1.weight', Layout.HUGGING_FACE),
    ('stem.norm1.weight', Layout.TIMM),  # V1
    ('stem.conv1.bn.weight', Layout.TIMM),  # V2
    ('stem.conv1.norm.weight', Layout.NATIVE),
    ('stem.conv1.conv.weight', Layout.NATIVE),  # with a norm that has no weight
)
_TO_NATIVE: dict[Layout, Callable[[Mapping[str, Tensor]], tuple[dict[str, Tensor], dict[str, str]]]] = {
    Layout.NATIVE: lambda state_dict: (dict(state_dict), {}),
    Layout.OFFICIAL: official_to_native,
    Layout.TIMM: timm_to_native,
    Layout.MMPRETRAIN: mmpretrain_to_native,
    Layout.HUGGING_FACE: huggingface_to_native,
}


def detect_layout(keys: Iterable[str]) -> Layout | None:
    """Layout of a backbone's keys (without prefix); None if it is none that we know."""
    names = set(keys)
    return next((layout for marker, layout in _MARKERS if marker in names), None)


def backbone_prefixes(keys: Iterable[str]) -> list[str]:
    """Prefixes, sorted, under which the keys have a backbone of some layout; '' for one at the top."""
    markers = tuple(marker for marker, _ in _MARKERS)
    pattern = re.compile(rf'((?:[^.]+\.)*?)(?:{"|".join(map(re.escape, markers))})')
    return sorted({match[1] for match in map(pattern.fullmatch, keys) if match})


def to_native(state_dict: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Rename a backbone's entries into our layout.

    Args:
        state_dict: entries of one backbone, without prefix. Not modified.

    Returns:
        The renamed entries, and {key of the file: reason} for those left out.

    Raises:
        UserError: a layout we do not know, or two entries of the file that mean the same.
    """
    layout = detect_layout(state_dict)
    if layout is None:
        sample = ', '.join(sorted(state_dict)[:5])
        raise UserError(
            'These weights have no layout that effformer_dense knows '
            f'({", ".join(known.value for known in Layout)}). The first of {len(state_dict)} keys: {sample}.'
        )
    others = {other for marker, other in _MARKERS[:-1] if marker in state_dict} - {layout}
    if others:
        names = ' and '.join(sorted({layout.value, *(other.value for other in others)}))
        raise UserError(f'These weights are a mixture of the layouts {names}.')
    native, ignored = _TO_NATIVE[layout](state_dict)
    if len(native) + len(ignored) < len(state_dict):
        raise UserError(_describe_doubles(state_dict, layout))
    return native, ignored


def identify_variant(native: Mapping[str, Tensor]) -> Variant | None:
    """Variant that entries in our layout belong to, from widths and depths; None if none fits."""
    widths = tuple(_output_width(native, stage) for stage in range(4))
    depths = tuple(_depth(native, stage) for stage in range(4))
    for row in ALL_VARIANTS:
        if (row.widths, row.depths) == (widths, depths):
            return row
    return None


def _describe_doubles(state_dict: Mapping[str, Tensor], layout: Layout) -> str:
    """Name an entry that comes out under the name of one before it, found by bisection."""
    keys = list(state_dict)
    fine, bad = 0, len(keys)  # so many first entries keep apart, or do not
    while bad - fine > 1:
        half = (fine + bad) // 2
        native, ignored = _TO_NATIVE[layout]({key: state_dict[key] for key in keys[:half]})
        fine, bad = (half, bad) if len(native) + len(ignored) == half else (fine, half)
    return (
        f'Two entries of these weights mean the same in the layout {layout.value}: '
        f'{keys[bad - 1]} comes a second time. Is this a mixture of two files?'
    )


def _output_width(native: Mapping[str, Tensor], stage: int) -> int | None:
    names = ['stem.conv2.conv.weight']
    if stage > 0:
        names = [f'stages.{stage}.downsample.conv.weight', f'stages.{stage}.downsample.conv.conv.weight']
    return next((native[name].shape[0] for name in names if name in native and native[name].dim()), None)


def _depth(native: Mapping[str, Tensor], stage: int) -> int:
    pattern = re.compile(rf'stages\.{stage}\.blocks\.(\d+)\.')
    return len({match[1] for match in map(pattern.match, native) if match})
