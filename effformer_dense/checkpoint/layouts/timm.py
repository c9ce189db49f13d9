"""Layout of timm's ``efficientformer_*`` and ``efficientformerv2_*`` models."""

from __future__ import annotations

import torch
from torch import Tensor

from ... import variants
from ...variants import Variant
from .table import DERIVABLE_INDEX, FLAT_TABLES, MAP_MLP, TOKEN_LAYERS, Layout, Naming, Place, each

_CLASSIFIER = {'norm': 'norm', 'head': 'head', 'head_dist': 'head_dist'}
_NO_PLACE = {'out_norms.': 'output norms, for which timm has no place'}
_LAYER_SCALES = {'layer_scale_1.weight': 'ls1.gamma', 'layer_scale_2.weight': 'ls2.gamma'}

# V1's flattening has a place among the blocks of the last stage.
V1 = Naming(
    layout=Layout.TIMM,
    families=(variants.V1,),
    markers=('stem.norm1.weight',),
    places=(
        Place(
            'stem',
            'stem',
            {
                'conv1.conv.*': 'conv1.*',
                'conv1.norm.*': 'norm1.*',
                'conv2.conv.*': 'conv2.*',
                'conv2.norm.*': 'norm2.*',
            },
        ),
        Place('stages.{1,2,3}.downsample', 'stages.{1,2,3}.downsample', {'conv.*': 'conv.*', 'norm.*': 'norm.*'}),
        Place(
            'stages.3.blocks.{maps..}',
            'stages.3.blocks.{maps+1..}',
            {**_LAYER_SCALES, **TOKEN_LAYERS},
        ),
        Place(
            'stages.{0,1,2,3}.blocks.{0..}',
            'stages.{0,1,2,3}.blocks.{0..}',
            {**_LAYER_SCALES, **MAP_MLP},
        ),
    ),
    forms=(FLAT_TABLES,),
    index='attention_bias_idxs',
    ignored=DERIVABLE_INDEX,
    no_place=_NO_PLACE,
    classifier=_CLASSIFIER,
)

_CONV_NORM = {'conv.*': 'conv.*', 'norm.*': 'bn.*'}
_ATTENTION = {**each(('k', 'v', 'v_local', 'proj'), _CONV_NORM), 'bias.table': 'attention_biases'}

# Here the index is computed when the model is built, and not saved.
V2 = Naming(
    layout=Layout.TIMM,
    families=(variants.V2,),
    markers=('stem.conv1.bn.weight',),
    places=(
        Place('stem', 'stem', each(('conv1', 'conv2'), _CONV_NORM)),
        # Only the last step down has two paths to tell apart; timm names the convolution in all.
        Place('stages.{1,2}.downsample', 'stages.{1,2}.downsample.conv', _CONV_NORM),
        Place('stages.3.downsample.conv', 'stages.3.downsample.conv', _CONV_NORM),
        Place(
            'stages.3.downsample.attention',
            'stages.3.downsample.attn',
            {**_ATTENTION, 'q.local.*': 'q.local.*', **each(('q.proj',), _CONV_NORM)},
        ),
        Place(
            'stages.{2,3}.blocks.{0..}.token_mixer',
            'stages.{2,3}.blocks.{0..}.token_mixer',
            {
                **_ATTENTION,
                **each(('q', 'stride_conv'), _CONV_NORM),
                **each(('talking_head1', 'talking_head2'), {'*': '*'}),
            },
        ),
        Place(
            'stages.{0,1,2,3}.blocks.{0..}',
            'stages.{0,1,2,3}.blocks.{0..}',
            {**_LAYER_SCALES, **each(('mlp.fc1', 'mlp.mid', 'mlp.fc2'), _CONV_NORM)},
        ),
    ),
    forms=(FLAT_TABLES,),
    ignored=DERIVABLE_INDEX,
    no_place=_NO_PLACE,
    classifier=_CLASSIFIER,
)


def fresh_norm(variant: Variant) -> dict[str, Tensor]:
    """Entries ``norm.*`` as timm initialises them: its models end in a norm that a backbone has not."""
    width = variant.widths[-1]
    norm = {'norm.weight': torch.ones(width), 'norm.bias': torch.zeros(width)}
    if variant.family == variants.V2:  # batch norm; V1 has a layer norm
        norm |= {'norm.running_mean': torch.zeros(width), 'norm.running_var': torch.ones(width)}
        norm['norm.num_batches_tracked'] = torch.tensor(0)
    return norm
