"""Layout of mmpretrain's EfficientFormer (V1): like the published code's, but stages start with their step down."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from .rename import CONV_MLP_RULES, Rule, close_hole, flat_position, is_conv_mlp, rename, square_table

_LAST_STAGE_BLOCK = r'network\.3\.(\d+)\.'

_RULES: tuple[Rule, ...] = (
    (r'^patch_embed\.([01])\.(conv|bn)\.', lambda m: f'stem.conv{int(m[1]) + 1}.{_conv_or_norm(m[2])}.'),
    (r'^network\.([123])\.0\.(conv|bn)\.', lambda m: f'stages.{m[1]}.downsample.{_conv_or_norm(m[2])}.'),
    (r'^network\.0\.(\d+)\.', r'stages.0.blocks.\1.'),
    # In the other stages place 0 is the step down.
    (r'^network\.([123])\.(\d+)\.', lambda m: f'stages.{m[1]}.blocks.{int(m[2]) - 1}.'),
    (r'\.ls([12])\.', r'.layer_scale_\1.'),
    (r'\.attention_biases$', '.bias.table'),
)


def mmpretrain_to_native(state_dict: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Rename a backbone of mmpretrain; see :func:`.layouts.to_native`."""
    hole = flat_position((key for key in state_dict if not key.startswith('network.3.0.')), _LAST_STAGE_BLOCK, first=1)
    native: dict[str, Tensor] = {}
    ignored: dict[str, str] = {}
    for key, value in state_dict.items():
        if re.match(r'norm3\.', key):
            ignored[key] = 'classifier'  # the norm before it
        elif key.endswith('.attention_bias_idxs'):
            ignored[key] = 'derivable index'
        else:
            name = rename(close_hole(key, _LAST_STAGE_BLOCK, hole), _RULES)
            if is_conv_mlp(key, state_dict):
                name = rename(name, CONV_MLP_RULES)
            native[name] = square_table(value, key) if name.endswith('.bias.table') else value
    return native, ignored


def _conv_or_norm(name: str) -> str:
    return {'conv': 'conv', 'bn': 'norm'}[name]
