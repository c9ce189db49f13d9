"""DeepLabV3+ (arXiv 1802.02611) as mmseg sets it up; the leaf names the backbone and widths. Keys: model only.

The backbones end at 1/32 and do not dilate: at a quarter of the dilations that are meant for 1/8 (12, 24, 36), branches
reach as far in pixels.
"""

_base_ = 'encoder_decoder_auxiliary.py'

model = dict(
    decode_head=dict(
        type='DepthwiseSeparableASPPHead',
        in_index=3,
        dilations=(1, 3, 6, 9),
        channels=512,
        c1_channels=48,
    ),
)
