"""Semantic FPN on EfficientFormerV2 S1, ADE20K, 40,000 iterations.

    python tools/train.py configs/semfpn_v2_s1_ade20k.py

Recipe: as semfpn_v2_l_ade20k.py, where it is explained.
Published score: none.
Measured here: not yet.
"""

_base_ = 'semfpn_v2_l_ade20k.py'

model = dict(
    backbone=dict(
        arch='s1',
        init_cfg=dict(checkpoint='timm://efficientformerv2_s1.snap_dist_in1k'),
    ),
    neck=dict(in_channels=[32, 48, 120, 224]),
)
