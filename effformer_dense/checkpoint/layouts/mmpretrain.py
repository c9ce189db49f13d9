"""Layout of mmpretrain's EfficientFormer (V1): like the published code's, but stages start with their step down."""

from __future__ import annotations

from ... import variants
from .table import DERIVABLE_INDEX, FLAT_TABLES, MAP_MLP, TOKEN_LAYERS, Layout, Naming, Place

_LAYER_SCALES = {'layer_scale_1.weight': 'ls1.weight', 'layer_scale_2.weight': 'ls2.weight'}
_BLOCK_ON_MAPS = {**_LAYER_SCALES, **MAP_MLP}

# In all stages but the first, place 0 is the step down. The flattening has a place among the blocks of the last stage.
V1 = Naming(
    layout=Layout.MMPRETRAIN,
    families=(variants.V1,),
    markers=('patch_embed.0.conv.weight',),
    places=(
        Place('stem.conv{1,2}', 'patch_embed.{0,1}', {'conv.*': 'conv.*', 'norm.*': 'bn.*'}),
        Place('stages.{1,2,3}.downsample', 'network.{1,2,3}.0', {'conv.*': 'conv.*', 'norm.*': 'bn.*'}),
        Place(
            'stages.3.blocks.{maps..}',
            'network.3.{maps+2..}',
            {**_LAYER_SCALES, **TOKEN_LAYERS},
        ),
        Place('stages.0.blocks.{0..}', 'network.0.{0..}', _BLOCK_ON_MAPS),
        Place('stages.{1,2,3}.blocks.{0..}', 'network.{1,2,3}.{1..}', _BLOCK_ON_MAPS),
    ),
    forms=(FLAT_TABLES,),
    index='attention_bias_idxs',
    ignored=DERIVABLE_INDEX,
    no_place={'out_norms.': 'output norms, of which mmpretrain has the last alone'},
    classifier={'norm': 'backbone.norm3', 'head': 'head.head', 'head_dist': 'head.dist_head'},
    root='backbone.',
)
