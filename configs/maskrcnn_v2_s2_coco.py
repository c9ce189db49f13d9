"""Mask R-CNN with FPN on EfficientFormerV2 S2, COCO 2017, 12 epochs.

    python tools/train.py configs/maskrcnn_v2_s2_coco.py

Recipe: as maskrcnn_v2_l_coco.py, where it is explained.
Published score (arXiv 2212.08059): box AP 43.4, mask AP 39.5 on val2017 (quoted).
Measured here: not yet.
"""

_base_ = 'maskrcnn_v2_l_coco.py'

model = dict(
    backbone=dict(
        arch='s2',
        init_cfg=dict(checkpoint='timm://efficientformerv2_s2.snap_dist_in1k'),
    ),
    neck=dict(in_channels=[32, 64, 144, 288]),
)
