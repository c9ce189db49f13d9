"""Mask R-CNN with FPN on EfficientFormerV1 L3, COCO 2017, 12 epochs.

    python tools/train.py configs/maskrcnn_v1_l3_coco.py

Recipe: as maskrcnn_v2_l_coco.py, where it is explained; weight decay as published for V1.
Published score (arXiv 2206.01191): box AP 41.4, mask AP 38.1 on val2017 (quoted).
Measured here: not yet.
"""

_base_ = 'maskrcnn_v1_l1_coco.py'

model = dict(
    backbone=dict(
        arch='l3',
        init_cfg=dict(checkpoint='timm://efficientformer_l3.snap_dist_in1k'),
    ),
    neck=dict(in_channels=[64, 128, 320, 512]),
)
