"""Semantic FPN on EfficientFormerV2 S2, ADE20K, 40,000 iterations.

    python tools/train.py configs/semfpn_v2_s2_ade20k.py

Recipe: as semfpn_v2_l_ade20k.py, where it is explained.
Published score (arXiv 2212.08059): mIoU 42.4 on the validation pictures (quoted).
Measured here: not yet.
"""

_base_ = 'semfpn_v2_l_ade20k.py'

model = dict(
    backbone=dict(
        arch='s2',
        init_cfg=dict(checkpoint='timm://efficientformerv2_s2.snap_dist_in1k'),
    ),
    neck=dict(in_channels=[32, 64, 144, 288]),
)
