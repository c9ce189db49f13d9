"""DeepLabV3+ on EfficientFormerV2 S0 learns synthetic shapes from scratch, on a CPU, in minutes.

    python tools/train.py configs/heads/deeplabv3plus_v2_s0_shapes.py

Data and schedule are those of semfpn_v2_s0_shapes.py. Score: see docs/heads.md.
"""

_base_ = [
    '../_base_/deeplabv3plus.py',
    '../_base_/shapes_segmentation.py',
    '../_base_/schedule_shapes_mmseg.py',
    '../_base_/runtime_shapes_mmseg.py',
]

num_classes = 6  # ground and five shapes

model = dict(
    data_preprocessor=dict(size=(128, 128)),
    backbone=dict(
        type='EfficientFormerV2',
        arch='s0',
        init_cfg=dict(type='Constant', layer='LayerScale', val=1.0),  # as in mask_rcnn_fpn_small.py
    ),
    decode_head=dict(
        in_channels=176,
        dilations=(1, 2, 3),  # of a grid of 4 x 4
        c1_in_channels=32,
        channels=64,
        dropout_ratio=0.0,
        num_classes=num_classes,
        norm_cfg=dict(type='BN'),
        loss_decode=[
            dict(type='CrossEntropyLoss', loss_weight=1.0),
            dict(type='DiceLoss', use_sigmoid=False, loss_weight=1.0),
        ],
    ),
    auxiliary_head=dict(in_channels=96, channels=64, num_classes=num_classes, norm_cfg=dict(type='BN')),
)
