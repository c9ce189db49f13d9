"""Mask R-CNN with FPN on EfficientFormerV2 S0, COCO 2017, 12 epochs.

    python tools/train.py configs/maskrcnn_v2_s0_coco.py

Recipe: as maskrcnn_v2_l_coco.py, where it is explained.
Published score (arXiv 2212.08059): none.
Measured here: not yet.
"""

_base_ = 'maskrcnn_v2_l_coco.py'

model = dict(
    backbone=dict(
        arch='s0',
        init_cfg=dict(checkpoint='timm://efficientformerv2_s0.snap_dist_in1k'),
    ),
    neck=dict(in_channels=[32, 48, 96, 176]),
)
