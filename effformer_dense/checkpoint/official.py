"""Layout of the published code (snap-research/EfficientFormer), ImageNet and dense checkpoints of both generations.

Its dense models keep two tables per attention: ``attention_biases_seg`` is the live one, ``attention_biases`` a buffer
that only received the ImageNet values. ImageNet files have the latter alone, and there it is the live one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from .rename import CONV_MLP_RULES, Rule, close_hole, flat_position, is_conv_mlp, rename, square_table

_LAST_STAGE_BLOCK = r'network\.6\.(\d+)\.'

_RULES: tuple[Rule, ...] = (
    (r'^patch_embed\.0\.', 'stem.conv1.conv.'),
    (r'^patch_embed\.1\.', 'stem.conv1.norm.'),
    (r'^patch_embed\.3\.', 'stem.conv2.conv.'),
    (r'^patch_embed\.4\.', 'stem.conv2.norm.'),
    # Even places of `network` are stages, odd ones the downsampling between them.
    (r'^network\.([0246])\.(\d+)\.', lambda m: f'stages.{int(m[1]) // 2}.blocks.{m[2]}.'),
    (r'^network\.5\.attn\.', 'stages.3.downsample.attention.'),
    (r'^network\.5\.conv\.', 'stages.3.downsample.conv.conv.'),
    (r'^network\.5\.bn\.', 'stages.3.downsample.conv.norm.'),
    (r'^network\.([135])\.proj\.', lambda m: f'stages.{(int(m[1]) + 1) // 2}.downsample.conv.'),
    (r'^network\.([135])\.norm\.', lambda m: f'stages.{(int(m[1]) + 1) // 2}.downsample.norm.'),
    (r'^norm([0246])\.', lambda m: f'out_norms.{int(m[1]) // 2}.'),
    (r'\.layer_scale_([12])$', r'.layer_scale_\1.weight'),
    (r'\.attention_biases(_seg)?$', '.bias.table'),
    # Attention of V2: every convolution is a Sequential of convolution and norm, `proj` after an activation.
    (r'\.(stride_conv|q|k|v|v_local|q\.proj)\.0\.', r'.\1.conv.'),
    (r'\.(stride_conv|q|k|v|v_local|q\.proj)\.1\.', r'.\1.norm.'),
    (r'\.q\.local\.0\.', '.q.local.'),
    (r'\.(token_mixer|attention)\.proj\.1\.', r'.\1.proj.conv.'),
    (r'\.(token_mixer|attention)\.proj\.2\.', r'.\1.proj.norm.'),
)


def official_to_native(state_dict: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Rename a checkpoint of the published code; see :func:`.layouts.to_native`."""
    is_v1 = not any('.mlp.mid.' in key for key in state_dict)
    hole = flat_position(state_dict, _LAST_STAGE_BLOCK) if is_v1 else None
    native: dict[str, Tensor] = {}
    ignored: dict[str, str] = {}
    for key, value in state_dict.items():
        reason = _reason_to_ignore(key, state_dict)
        if reason:
            ignored[key] = reason
            continue
        name = rename(close_hole(key, _LAST_STAGE_BLOCK, hole), _RULES)
        if is_conv_mlp(key, state_dict):
            name = rename(name, CONV_MLP_RULES)
        if name.endswith('.bias.table'):
            value = square_table(value, key)
        elif '.layer_scale_' in name:
            value = value.reshape(-1)  # V2 stores (C, 1, 1)
        native[name] = value
    return native, ignored


def _reason_to_ignore(key: str, state_dict: Mapping[str, Tensor]) -> str | None:
    if re.match(r'(norm|head|dist_head)\.', key):
        return 'classifier'
    if re.search(r'attention_bias_idxs(_seg)?$', key):
        return 'derivable index'
    if key.endswith('.attention_biases') and f'{key}_seg' in state_dict:
        return 'unused copy of the ImageNet bias; attention_biases_seg is the live table'
    return None
