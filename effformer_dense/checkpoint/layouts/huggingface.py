"""Layout of Hugging Face's ``EfficientFormer*`` models (V1)."""

from __future__ import annotations

from ... import variants
from .table import DERIVABLE_INDEX, FLAT_TABLES, Layout, Naming, Place

_LAYER_SCALES = {'layer_scale_1.weight': 'layer_scale_1', 'layer_scale_2.weight': 'layer_scale_2'}
_BLOCK_ON_MAPS = {
    **_LAYER_SCALES,
    'mlp.fc1.conv.*': 'mlp.convolution1.*',
    'mlp.fc1.norm.*': 'mlp.batchnorm_before.*',
    'mlp.fc2.conv.*': 'mlp.convolution2.*',
    'mlp.fc2.norm.*': 'mlp.batchnorm_after.*',
}

# Even places of `intermediate_stages` are stages, odd ones the steps down between them. The last stage counts its
# blocks on maps and those on tokens apart.
V1 = Naming(
    layout=Layout.HUGGING_FACE,
    families=(variants.V1,),
    markers=('patch_embed.convolution1.weight',),
    places=(
        Place(
            'stem',
            'patch_embed',
            {
                'conv1.conv.*': 'convolution1.*',
                'conv1.norm.*': 'batchnorm_before.*',
                'conv2.conv.*': 'convolution2.*',
                'conv2.norm.*': 'batchnorm_after.*',
            },
        ),
        Place(
            'stages.{1,2,3}.downsample',
            'encoder.intermediate_stages.{1,3,5}',
            {'conv.*': 'projection.*', 'norm.*': 'norm.*'},
        ),
        Place(
            'stages.3.blocks.{maps..}',
            'encoder.last_stage.meta3D_layers.blocks.{0..}',
            {
                **_LAYER_SCALES,
                'norm1.*': 'layernorm1.*',
                'norm2.*': 'layernorm2.*',
                'token_mixer.qkv.*': 'token_mixer.qkv.*',
                'token_mixer.proj.*': 'token_mixer.projection.*',
                'token_mixer.bias.table': 'token_mixer.attention_biases',
                'mlp.fc1.*': 'mlp.linear_in.*',
                'mlp.fc2.*': 'mlp.linear_out.*',
            },
        ),
        Place('stages.3.blocks.{0..}', 'encoder.last_stage.meta4D_layers.blocks.{0..}', _BLOCK_ON_MAPS),
        Place(
            'stages.{0,1,2}.blocks.{0..}',
            'encoder.intermediate_stages.{0,2,4}.meta4D_layers.blocks.{0..}',
            _BLOCK_ON_MAPS,
        ),
    ),
    forms=(FLAT_TABLES,),
    index='attention_bias_idxs',
    ignored=DERIVABLE_INDEX,
    no_place={'out_norms.': 'output norms, for which Hugging Face has no place'},
    classifier={'norm': 'efficientformer.layernorm', 'head': 'classifier', 'head_dist': 'distillation_classifier'},
    root='efficientformer.',
)
