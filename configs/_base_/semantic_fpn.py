"""Semantic FPN (arXiv 1901.02446, section 3.1) as mmseg sets it up; the leaf names the backbone. Keys: model only."""

_base_ = 'encoder_decoder.py'

model = dict(
    neck=dict(type='FPN', out_channels=256, num_outs=4),
    decode_head=dict(
        type='FPNHead',
        in_channels=[256, 256, 256, 256],
        in_index=[0, 1, 2, 3],
        feature_strides=[4, 8, 16, 32],
        channels=128,
    ),
)
