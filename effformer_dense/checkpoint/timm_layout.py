"""Layout of timm's ``efficientformer_*`` and ``efficientformerv2_*`` models."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from .rename import CONV_MLP_RULES, Rule, close_hole, flat_position, is_conv_mlp, rename, square_table

_LAST_STAGE_BLOCK = r'stages\.3\.blocks\.(\d+)\.'

_COMMON_RULES: tuple[Rule, ...] = (
    (r'\.ls([12])\.gamma$', r'.layer_scale_\1.weight'),
    (r'\.attention_biases$', '.bias.table'),
)
_V1_RULES: tuple[Rule, ...] = (
    *_COMMON_RULES,
    (r'^stem\.(conv[12])\.', r'stem.\1.conv.'),
    (r'^stem\.norm([12])\.', r'stem.conv\1.norm.'),
)
_V2_RULES: tuple[Rule, ...] = (
    *_COMMON_RULES,
    (r'\.bn\.', '.norm.'),
    (r'^(stages\.[12]\.downsample)\.conv\.', r'\1.'),  # only stage 4 has two paths to tell apart
    (r'\.downsample\.attn\.', '.downsample.attention.'),
)


def timm_to_native(state_dict: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Rename a state dict of timm; see :func:`.layouts.to_native`."""
    is_v1 = 'stem.norm1.weight' in state_dict
    hole = flat_position(state_dict, _LAST_STAGE_BLOCK) if is_v1 else None
    native: dict[str, Tensor] = {}
    ignored: dict[str, str] = {}
    for key, value in state_dict.items():
        if re.match(r'(norm|head|head_dist)\.', key):
            ignored[key] = 'classifier'
        elif key.endswith('.attention_bias_idxs'):
            ignored[key] = 'derivable index'
        else:
            name = rename(close_hole(key, _LAST_STAGE_BLOCK, hole), _V1_RULES if is_v1 else _V2_RULES)
            if is_v1 and is_conv_mlp(key, state_dict):
                name = rename(name, CONV_MLP_RULES)
            native[name] = square_table(value, key) if name.endswith('.bias.table') else value
    return native, ignored
