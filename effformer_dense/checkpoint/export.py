"""From our layout into timm's and that of the published code: the rename tables of those layouts, turned round."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from ..backbones.relpos import offset_index
from ..errors import UserError
from ..variants import Variant
from .layouts import Layout
from .rename import Rule, rename

#: Places of the two convolutions of the stem in the published code's list.
_STEM_PLACE = {'conv1': 0, 'conv2': 3}

_TO_OFFICIAL: tuple[Rule, ...] = (
    (r'^stem\.(conv[12])\.conv\.', lambda m: f'patch_embed.{_STEM_PLACE[m[1]]}.'),
    (r'^stem\.(conv[12])\.norm\.', lambda m: f'patch_embed.{_STEM_PLACE[m[1]] + 1}.'),
    (r'^stages\.3\.downsample\.attention\.', 'network.5.attn.'),
    (r'^stages\.3\.downsample\.conv\.conv\.', 'network.5.conv.'),
    (r'^stages\.3\.downsample\.conv\.norm\.', 'network.5.bn.'),
    (r'^stages\.([123])\.downsample\.conv\.', lambda m: f'network.{2 * int(m[1]) - 1}.proj.'),
    (r'^stages\.([123])\.downsample\.norm\.', lambda m: f'network.{2 * int(m[1]) - 1}.norm.'),
    (r'^stages\.(\d)\.blocks\.', lambda m: f'network.{2 * int(m[1])}.'),
    (r'^out_norms\.(\d)\.', lambda m: f'norm{2 * int(m[1])}.'),
    (r'\.layer_scale_([12])\.weight$', r'.layer_scale_\1'),
    (r'\.bias\.table$', '.attention_biases'),
    (r'\.mlp\.fc([12])\.conv\.', r'.mlp.fc\1.'),
    (r'\.mlp\.fc([12])\.norm\.', r'.mlp.norm\1.'),
    (r'\.mlp\.mid\.conv\.', '.mlp.mid.'),
    (r'\.mlp\.mid\.norm\.', '.mlp.mid_norm.'),
    (r'\.q\.local\.', '.q.local.0.'),
    (r'\.(token_mixer|attn)\.proj\.conv\.', r'.\1.proj.1.'),
    (r'\.(token_mixer|attn)\.proj\.norm\.', r'.\1.proj.2.'),
    (r'\.(stride_conv|q|k|v|v_local|q\.proj)\.conv\.', r'.\1.0.'),
    (r'\.(stride_conv|q|k|v|v_local|q\.proj)\.norm\.', r'.\1.1.'),
)
_TO_TIMM_V1: tuple[Rule, ...] = (
    (r'^stem\.(conv[12])\.conv\.', r'stem.\1.'),
    (r'^stem\.conv([12])\.norm\.', r'stem.norm\1.'),
    (r'\.mlp\.fc([12])\.conv\.', r'.mlp.fc\1.'),
    (r'\.mlp\.fc([12])\.norm\.', r'.mlp.norm\1.'),
    (r'\.layer_scale_([12])\.weight$', r'.ls\1.gamma'),
    (r'\.bias\.table$', '.attention_biases'),
)
_TO_TIMM_V2: tuple[Rule, ...] = (
    (r'^(stages\.[12]\.downsample)\.', r'\1.conv.'),
    (r'\.downsample\.attention\.', '.downsample.attn.'),
    (r'\.norm\.', '.bn.'),
    (r'\.layer_scale_([12])\.weight$', r'.ls\1.gamma'),
    (r'\.bias\.table$', '.attention_biases'),
)


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
        UserError: another layout.
    """
    if layout is Layout.NATIVE:
        return dict(native)
    if layout not in (Layout.OFFICIAL, Layout.TIMM):
        raise UserError(f'Weights are written in the layouts effformer_dense, timm and official; got {layout.value}.')
    timm = layout is Layout.TIMM
    rules = _TO_OFFICIAL if not timm else _TO_TIMM_V1 if variant.generation == 1 else _TO_TIMM_V2
    renamed: dict[str, Tensor] = {}
    for key, value in native.items():
        if timm and key.startswith('out_norms.'):
            continue
        name = rename(_open_hole(key, variant), rules)
        if key.endswith('.bias.table'):
            if not timm or variant.generation == 1:  # timm's V2 does not save the index
                renamed[name.replace('attention_biases', 'attention_bias_idxs')] = _index(key, value)
            value = value.flatten(1)
        elif '.layer_scale_' in key and variant.generation == 2 and not timm:
            value = value[:, None, None]
        renamed[name] = value
    return renamed


def _open_hole(key: str, variant: Variant) -> str:
    """V1's flattening takes a number among the blocks of the last stage: those that attend count from one more."""
    found = re.match(r'stages\.3\.blocks\.(\d+)\.', key)
    if variant.generation == 2 or found is None:
        return key
    number = int(found[1])
    number += number >= variant.depths[3] - variant.num_attention_blocks
    return f'stages.3.blocks.{number}.{key[found.end() :]}'


def _index(key: str, table: Tensor) -> Tensor:
    """Index buffer of a table; that of the attention downsampling has every second cell as query."""
    _, height, width = table.shape
    return offset_index(height, width, stride=2 if '.downsample.' in key else 1)


def fresh_norm(variant: Variant) -> dict[str, Tensor]:
    """Entries ``norm.*`` as timm initialises them: its models end in a norm that a backbone has not."""
    width = variant.widths[-1]
    norm = {'norm.weight': torch.ones(width), 'norm.bias': torch.zeros(width)}
    if variant.generation == 2:  # batch norm; V1 has a layer norm
        norm |= {'norm.running_mean': torch.zeros(width), 'norm.running_var': torch.ones(width)}
        norm['norm.num_batches_tracked'] = torch.tensor(0)
    return norm
