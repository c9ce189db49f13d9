"""Semantic FPN on EfficientFormerV1 L7, ADE20K, 40,000 iterations.

    python tools/train.py configs/semfpn_v1_l7_ade20k.py

Recipe: as semfpn_v2_l_ade20k.py, where it is explained; the rate falls to 0, as published for V1.
Published score (arXiv 2206.01191): mIoU 45.1 on the validation pictures (quoted).
Measured here: not yet.
"""

_base_ = 'semfpn_v2_l_ade20k.py'

model = dict(
    backbone=dict(
        type='EfficientFormerV1',
        arch='l7',
        talking_bias='sum',  # V1 has no talking heads
        out_norm=True,  # GroupNorm on every output: V1's published dense models have it, V2's do not
        init_cfg=dict(checkpoint='timm://efficientformer_l7.snap_dist_in1k'),
    ),
    neck=dict(in_channels=[96, 192, 384, 768]),
)
# A list is replaced as a whole: 0 instead of 1e-6 at the end.
param_scheduler = [dict(type='PolyLR', power=0.9, eta_min=0.0, begin=0, end=40000, by_epoch=False)]
