"""Layout of the published code (snap-research/EfficientFormer), ImageNet and dense checkpoints of both generations."""

from __future__ import annotations

from ... import variants
from .table import (
    COLUMN_SCALES,
    DERIVABLE_INDEX,
    FLAT_SCALES,
    FLAT_TABLES,
    MAP_MLP,
    TOKEN_LAYERS,
    Copy,
    Layout,
    Naming,
    Place,
    each,
)

_MARKER = 'patch_embed.0.weight'
_IGNORED = {**DERIVABLE_INDEX, '.attention_bias_idxs_seg': DERIVABLE_INDEX['.attention_bias_idxs']}
_CLASSIFIER = {'norm': 'norm', 'head': 'head', 'head_dist': 'dist_head'}
#: Its dense models keep two tables per attention. In ImageNet files there is the second alone, and it is the live one.
_COPY = Copy(
    name='.attention_biases',
    live='.attention_biases_seg',
    reason='unused copy of the ImageNet bias; attention_biases_seg is the live table',
)

_STEM = Place(
    'stem', 'patch_embed', {'conv1.conv.*': '0.*', 'conv1.norm.*': '1.*', 'conv2.conv.*': '3.*', 'conv2.norm.*': '4.*'}
)
_OUT_NORMS = Place('out_norms.{0,1,2,3}', 'norm{0,2,4,6}', {'*': '*'})
_DOWNSAMPLE = {'conv.*': 'proj.*', 'norm.*': 'norm.*'}
_LAYER_SCALES = {'layer_scale_1.weight': 'layer_scale_1', 'layer_scale_2.weight': 'layer_scale_2'}
_BLOCK_ON_MAPS = {**_LAYER_SCALES, **MAP_MLP}

# Even places of `network` are stages, odd ones the steps down between them. V1's flattening counts as a block.
V1 = Naming(
    layout=Layout.OFFICIAL,
    families=(variants.V1,),
    markers=(_MARKER,),
    places=(
        _STEM,
        Place('stages.{1,2,3}.downsample', 'network.{1,3,5}', _DOWNSAMPLE),
        Place(
            'stages.3.blocks.{maps..}',
            'network.6.{maps+1..}',
            {**_LAYER_SCALES, **TOKEN_LAYERS},
        ),
        Place('stages.{0,1,2,3}.blocks.{0..}', 'network.{0,2,4,6}.{0..}', _BLOCK_ON_MAPS),
        _OUT_NORMS,
    ),
    forms=(FLAT_TABLES, FLAT_SCALES),
    index='attention_bias_idxs',
    copy=_COPY,
    ignored=_IGNORED,
    classifier=_CLASSIFIER,
)

#: Every convolution is a Sequential of convolution and norm; `proj` opens with its activation.
_ATTENTION = {
    **each(('k', 'v', 'v_local'), {'conv.*': '0.*', 'norm.*': '1.*'}),
    'proj.conv.*': 'proj.1.*',
    'proj.norm.*': 'proj.2.*',
    'bias.table': 'attention_biases',
}

V2 = Naming(
    layout=Layout.OFFICIAL,
    families=(variants.V2,),
    markers=(_MARKER,),
    sign='.mlp.mid.',
    places=(
        _STEM,
        Place('stages.{1,2}.downsample', 'network.{1,3}', _DOWNSAMPLE),
        Place('stages.3.downsample.conv', 'network.5', {'conv.*': 'conv.*', 'norm.*': 'bn.*'}),
        Place(
            'stages.3.downsample.attention',
            'network.5.attn',
            {**_ATTENTION, 'q.local.*': 'q.local.0.*', 'q.proj.conv.*': 'q.proj.0.*', 'q.proj.norm.*': 'q.proj.1.*'},
        ),
        Place(
            'stages.{2,3}.blocks.{0..}.token_mixer',
            'network.{4,6}.{0..}.token_mixer',
            {
                **_ATTENTION,
                **each(('q', 'stride_conv'), {'conv.*': '0.*', 'norm.*': '1.*'}),
                **each(('talking_head1', 'talking_head2'), {'*': '*'}),
            },
        ),
        Place(
            'stages.{0,1,2,3}.blocks.{0..}',
            'network.{0,2,4,6}.{0..}',
            {**_BLOCK_ON_MAPS, 'mlp.mid.conv.*': 'mlp.mid.*', 'mlp.mid.norm.*': 'mlp.mid_norm.*'},
        ),
        _OUT_NORMS,
    ),
    forms=(FLAT_TABLES, COLUMN_SCALES),
    index='attention_bias_idxs',
    copy=_COPY,
    ignored=_IGNORED,
    classifier=_CLASSIFIER,
)
