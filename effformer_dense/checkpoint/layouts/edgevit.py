"""Layout of EdgeViT's published code (saic-fi/edgevit)."""

from __future__ import annotations

from ...variants import EDGEVIT
from .table import Layout, Naming, Place, each

_POSITION = {'position.conv.*': 'pos_embed.*'}
_EVERYTHING = {'*': '*'}

OFFICIAL = Naming(
    layout=Layout.OFFICIAL,
    families=(EDGEVIT,),
    markers=('blocks1.0.LocalAgg.pos_embed.weight',),
    places=(
        Place('stem', 'patch_embed1', {'conv.*': 'proj.*', 'norm.*': 'norm.*'}),
        Place('stages.{1,2,3}.downsample', 'patch_embed{2,3,4}', {'conv.*': 'proj.*', 'norm.*': 'norm.*'}),
        Place(
            'stages.{0,1,2}.blocks.{0..}.local',
            'blocks{1,2,3}.{0..}.LocalAgg',
            {
                **_POSITION,
                'aggregate.*': 'attn.*',
                **each(('norm1', 'conv1', 'conv2', 'norm2', 'mlp.fc1', 'mlp.fc2'), _EVERYTHING),
            },
        ),
        Place(
            'stages.{0,1,2,3}.blocks.{0..}.sparse',
            'blocks{1,2,3,4}.{0..}.SelfAttn',
            {
                **_POSITION,
                'token_mixer.qkv.*': 'attn.qkv.*',
                'token_mixer.propagate.*': 'attn.LocalProp.*',
                'token_mixer.norm.*': 'attn.norm.*',
                'token_mixer.proj.*': 'attn.proj.*',
                **each(('norm1', 'norm2', 'mlp.fc1', 'mlp.fc2'), _EVERYTHING),
            },
        ),
    ),
    no_place={'out_norms.': 'output norms, for which the published code of EdgeViT has no place'},
    classifier={'norm': 'norm', 'head': 'head'},
)
