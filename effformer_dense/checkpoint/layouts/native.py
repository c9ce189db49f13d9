"""Our own layout: the names of :mod:`effformer_dense.backbones`, which need no table."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from ...variants import ALL_VARIANTS, EDGEVIT, V1, V2, Variant
from .table import Layout, Naming

NATIVE = Naming(
    layout=Layout.NATIVE,
    families=(V1, V2, EDGEVIT),
    markers=(
        'stem.conv1.norm.weight',
        'stem.conv1.conv.weight',  # for a norm that has no weight
        'stages.0.blocks.0.local.position.conv.weight',  # of EdgeViT
    ),
    classifier={'norm': 'norm', 'head': 'head', 'head_dist': 'head_dist'},
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
    names = ['stem.conv2.conv.weight', 'stem.conv.weight']
    if stage > 0:
        names = [f'stages.{stage}.downsample.conv.weight', f'stages.{stage}.downsample.conv.conv.weight']
    return next((native[name].shape[0] for name in names if name in native and native[name].dim()), None)


def _depth(native: Mapping[str, Tensor], stage: int) -> int:
    pattern = re.compile(rf'stages\.{stage}\.blocks\.(\d+)\.')
    return len({match[1] for match in map(pattern.match, native) if match})
