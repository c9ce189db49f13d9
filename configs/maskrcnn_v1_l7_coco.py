"""Mask R-CNN with FPN on EfficientFormerV1 L7, COCO 2017, 12 epochs.

    python tools/train.py configs/maskrcnn_v1_l7_coco.py

Recipe: as maskrcnn_v2_l_coco.py, where it is explained; weight decay as published for V1.
Published score (arXiv 2206.01191): box AP 42.6, mask AP 39.0 on val2017 (quoted).
Measured here: not yet.
"""

_base_ = 'maskrcnn_v1_l1_coco.py'

model = dict(
    backbone=dict(
        arch='l7',
        init_cfg=dict(checkpoint='timm://efficientformer_l7.snap_dist_in1k'),
    ),
    neck=dict(in_channels=[96, 192, 384, 768]),
)
