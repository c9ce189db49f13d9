"""Mask R-CNN with FPN on EfficientFormerV1 L1, COCO 2017, 12 epochs.

    python tools/train.py configs/maskrcnn_v1_l1_coco.py

Recipe: as maskrcnn_v2_l_coco.py, where it is explained; weight decay as published for V1.
Published score (arXiv 2206.01191): box AP 37.9, mask AP 35.4 on val2017 (quoted).
Measured here: not yet.
"""

_base_ = 'maskrcnn_v2_l_coco.py'

model = dict(
    backbone=dict(
        type='EfficientFormerV1',
        arch='l1',
        talking_bias='sum',  # V1 has no talking heads
        out_norm=True,  # GroupNorm on every output: V1's published dense models have it, V2's do not
        init_cfg=dict(checkpoint='timm://efficientformer_l1.snap_dist_in1k'),
    ),
    neck=dict(in_channels=[48, 96, 224, 448]),
)
optim_wrapper = dict(optimizer=dict(weight_decay=1e-4))
