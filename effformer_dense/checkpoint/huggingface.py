"""Layout of Hugging Face's ``EfficientFormer*`` models (V1)."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from .rename import Rule, rename, square_table

_LAST_CONV_BLOCK = re.compile(r'encoder\.last_stage\.meta4D_layers\.blocks\.(\d+)\.')

_RULES: tuple[Rule, ...] = (
    (r'^patch_embed\.convolution([12])\.', r'stem.conv\1.conv.'),
    (r'^patch_embed\.batchnorm_before\.', 'stem.conv1.norm.'),
    (r'^patch_embed\.batchnorm_after\.', 'stem.conv2.norm.'),
    # Even places of `intermediate_stages` are stages, odd ones the downsampling between them.
    (r'^encoder\.intermediate_stages\.([024])\.meta4D_layers\.', lambda m: f'stages.{int(m[1]) // 2}.'),
    (r'^encoder\.intermediate_stages\.([135])\.projection\.', lambda m: _downsample(m[1], 'conv')),
    (r'^encoder\.intermediate_stages\.([135])\.norm\.', lambda m: _downsample(m[1], 'norm')),
    (r'^encoder\.last_stage\.meta4D_layers\.', 'stages.3.'),
    (r'\.layer_scale_([12])$', r'.layer_scale_\1.weight'),
    (r'\.mlp\.convolution([12])\.', r'.mlp.fc\1.conv.'),
    (r'\.mlp\.batchnorm_before\.', '.mlp.fc1.norm.'),
    (r'\.mlp\.batchnorm_after\.', '.mlp.fc2.norm.'),
    (r'\.mlp\.linear_in\.', '.mlp.fc1.'),
    (r'\.mlp\.linear_out\.', '.mlp.fc2.'),
    (r'\.layernorm([12])\.', r'.norm\1.'),
    (r'\.token_mixer\.projection\.', '.token_mixer.proj.'),
    (r'\.attention_biases$', '.bias.table'),
)


def huggingface_to_native(state_dict: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Rename a model of Hugging Face; see :func:`.layouts.to_native`."""
    # The last stage counts its blocks on maps and those on tokens apart.
    on_maps = len({match[1] for match in map(_LAST_CONV_BLOCK.match, state_dict) if match})
    on_tokens: Rule = (
        r'^encoder\.last_stage\.meta3D_layers\.blocks\.(\d+)\.',
        lambda m: f'stages.3.blocks.{int(m[1]) + on_maps}.',
    )
    native: dict[str, Tensor] = {}
    ignored: dict[str, str] = {}
    for key, value in state_dict.items():
        if key.startswith('layernorm.'):
            ignored[key] = 'classifier'  # the norm before it
        elif key.endswith('.attention_bias_idxs'):
            ignored[key] = 'derivable index'
        else:
            name = rename(key, (on_tokens, *_RULES))
            native[name] = square_table(value, key) if name.endswith('.bias.table') else value
    return native, ignored


def _downsample(place: str, part: str) -> str:
    return f'stages.{(int(place) + 1) // 2}.downsample.{part}.'
