"""The layouts that are known: which one a state dict has, its way into ours, and ours into one of them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping

from torch import Tensor

from ...errors import UserError
from ...variants import Variant
from . import edgevit, huggingface, mmpretrain, official, timm
from .native import NATIVE
from .rename import read, write
from .table import Layout, Naming

#: Every layout's, per family. Of those with the same markers, those with a sign come first.
NAMINGS: tuple[Naming, ...] = (
    official.V2,
    official.V1,
    mmpretrain.V1,
    huggingface.V1,
    timm.V1,
    timm.V2,
    edgevit.OFFICIAL,
    NATIVE,
)
#: The layouts that are written. Models of the others have parts around the backbone that we do not make.
TARGETS = (Layout.NATIVE, Layout.TIMM, Layout.OFFICIAL)


def detect_layout(keys: Iterable[str]) -> Layout | None:
    """Layout of a backbone's keys (without prefix); None if it is none that we know."""
    naming = detect_naming(set(keys))
    return None if naming is None else naming.layout


def detect_naming(keys: Collection[str]) -> Naming | None:
    """As :func:`detect_layout`, with the names of the family; to look for a key in ``keys`` must be quick."""
    found = [naming for naming in NAMINGS if naming.markers[0] in keys]
    found = found or [naming for naming in NAMINGS if any(marker in keys for marker in naming.markers[1:])]
    return next((naming for naming in found if not naming.sign or any(naming.sign in key for key in keys)), None)


def backbone_prefixes(keys: Iterable[str]) -> list[str]:
    """Prefixes, sorted, under which the keys have a backbone of some layout; '' for one at the top."""
    markers = (marker for naming in NAMINGS for marker in naming.markers)
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
    naming = detect_naming(state_dict)
    if naming is None:
        sample = ', '.join(sorted(state_dict)[:5])
        raise UserError(
            'These weights have no layout that effformer_dense knows '
            f'({", ".join(known.value for known in Layout)}). The first of {len(state_dict)} keys: {sample}.'
        )
    layouts = {naming.layout, *(other.layout for other in NAMINGS if other.markers[0] in state_dict)}
    if len(layouts) > 1:
        names = ' and '.join(sorted(layout.value for layout in layouts))
        raise UserError(f'These weights are a mixture of the layouts {names}.')
    return read(naming, state_dict)


def from_native(native: Mapping[str, Tensor], variant: Variant, layout: Layout) -> dict[str, Tensor]:
    """Rename a backbone's entries from our layout.

    Args:
        native: entries of one backbone, without prefix. Not modified.
        variant: whose they are.
        layout: ours, timm's, or that of the published code's ImageNet checkpoints.

    Returns:
        The renamed entries, with the index buffers that the layout has. Output norms go along into the published
        code's layout; timm has no place for them.

    Raises:
        UserError: another layout, or one that has no such networks.
    """
    return from_native_with_rest(native, variant, layout)[0]


def from_native_with_rest(
    native: Mapping[str, Tensor], variant: Variant, layout: Layout
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """As :func:`from_native`, and {our key: reason} for the entries that the layout has no place for."""
    if layout not in TARGETS:
        raise UserError(f'Weights are written in the layouts effformer_dense, timm and official; got {layout.value}.')
    return write(naming_of(variant, layout), native, maps=variant.depths[-1] - variant.attention_blocks[-1])


def naming_of(variant: Variant, layout: Layout) -> Naming:
    """How ``layout`` names a variant.

    Raises:
        UserError: it has no such networks.
    """
    namings = [naming for naming in NAMINGS if variant.family in naming.families]
    if layout not in [naming.layout for naming in namings]:
        written = [target.value for target in TARGETS if target in [naming.layout for naming in namings]]
        raise UserError(f'{layout.value} has no {variant.name}: its weights are written as {" or ".join(written)}.')
    return next(naming for naming in namings if naming.layout is layout)
