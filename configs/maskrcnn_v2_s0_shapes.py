"""Mask R-CNN on EfficientFormerV2 S0 learns synthetic shapes from scratch, on a CPU, in minutes.

    python tools/train.py configs/maskrcnn_v2_s0_shapes.py

The data set makes itself on first use under data/shapes. Everything is small on purpose: 192 px pictures, 64-channel
heads, 900 iterations of 4. Another backbone is a line: ``model=dict(backbone=dict(arch='s1'), neck=dict(in_channels=
[32, 48, 120, 224]))``, from its row in the README's table.
"""

_base_ = [
    '_base_/mask_rcnn_fpn_small.py',
    '_base_/shapes_instance.py',
    '_base_/schedule_shapes.py',
    '_base_/runtime_shapes.py',
]

num_classes = 5

model = dict(roi_head=dict(bbox_head=dict(num_classes=num_classes), mask_head=dict(num_classes=num_classes)))
