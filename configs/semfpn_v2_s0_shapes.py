"""Semantic FPN on EfficientFormerV2 S0 learns to segment synthetic shapes from scratch, on a CPU, in minutes.

    python tools/train.py configs/semfpn_v2_s0_shapes.py

The data set makes itself on first use under data/shapes_ade, in ADE20K's layout. Everything is small on purpose: 128 px
pictures, 64 channels, 2400 iterations of 4. Score to expect: mIoU 0.77 to 0.80 on the held-out pictures after 5 to 8
minutes on 2 CPU cores (measured). Another backbone is a line: ``model=dict(backbone=dict(arch='s1'),
neck=dict(in_channels=[32, 48, 120, 224]))``, from its row in the README's table.
"""

_base_ = [
    '_base_/semantic_fpn_small.py',
    '_base_/shapes_segmentation.py',
    '_base_/schedule_shapes_mmseg.py',
    '_base_/runtime_shapes_mmseg.py',
]

model = dict(
    data_preprocessor=dict(size=(128, 128)),
    decode_head=dict(
        num_classes=6,  # ground and five shapes
        # Four pixels in five are ground: the overlap of classes counts beside the pixels.
        loss_decode=[
            dict(type='CrossEntropyLoss', loss_weight=1.0),
            dict(type='DiceLoss', use_sigmoid=False, loss_weight=1.0),
        ],
    ),
)
