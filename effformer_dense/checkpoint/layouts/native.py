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
    """Published variant that entries in our layout belong to; None if none fits."""
    stages = range(1 + max((int(match[1]) for match in map(_STAGE.match, native) if match), default=-1))
    widths = tuple(_output_width(native, stage) for stage in stages)
    depths = tuple(_blocks(native, stage) for stage in stages)
    attention = tuple(_blocks(native, stage, r'.*token_mixer\..') for stage in stages)
    downsample = any(key.startswith('stages.3.downsample.attention.') for key in native)
    for row in ALL_VARIANTS:
        found = (row.widths, row.depths, row.attention_blocks, row.attention_downsample and row.family == V2)
        if found == (widths, depths, attention, downsample):
            return row
    return None


_STAGE = re.compile(r'stages\.(\d+)\.')


def _output_width(native: Mapping[str, Tensor], stage: int) -> int | None:
    names = ['stem.conv2.conv.weight', 'stem.conv.weight']
    if stage > 0:
        names = [f'stages.{stage}.downsample.conv.weight', f'stages.{stage}.downsample.conv.conv.weight']
    return next((native[name].shape[0] for name in names if name in native and native[name].dim()), None)


def _blocks(native: Mapping[str, Tensor], stage: int, part: str = '') -> int:
    """How many blocks a stage has, or those that have a part."""
    pattern = re.compile(rf'stages\.{stage}\.blocks\.(\d+)\.{part}')
    return len({match[1] for match in map(pattern.match, native) if match})
