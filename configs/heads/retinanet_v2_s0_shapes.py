"""RetinaNet with FPN on EfficientFormerV2 S0 learns synthetic shapes from scratch, on a CPU, in minutes.

    python tools/train.py configs/heads/retinanet_v2_s0_shapes.py

Data and schedule are those of maskrcnn_v2_s0_shapes.py. Score: see docs/heads.md.
"""

_base_ = [
    '../_base_/retinanet_fpn.py',
    '../_base_/shapes_detection.py',
    '../_base_/schedule_shapes.py',
    '../_base_/runtime_shapes.py',
]

channels = 64

model = dict(
    backbone=dict(
        type='EfficientFormerV2',
        arch='s0',
        init_cfg=dict(type='Constant', layer='LayerScale', val=1.0),  # as in mask_rcnn_fpn_small.py
    ),
    neck=dict(in_channels=[32, 48, 96, 176], out_channels=channels, norm_cfg=dict(type='BN')),
    bbox_head=dict(num_classes=5, in_channels=channels, feat_channels=channels, stacked_convs=2),
    test_cfg=dict(nms_pre=200, max_per_img=30),
)
