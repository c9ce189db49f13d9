"""Faster R-CNN with FPN on EfficientFormerV2 S0 learns synthetic shapes from scratch, on a CPU, in minutes.

    python tools/train.py configs/heads/fasterrcnn_v2_s0_shapes.py

Data and schedule are those of maskrcnn_v2_s0_shapes.py. Score: see docs/heads.md.
"""

_base_ = [
    '../_base_/mask_rcnn_fpn_small.py',
    '../_base_/shapes_detection.py',
    '../_base_/schedule_shapes.py',
    '../_base_/runtime_shapes.py',
]

model = dict(type='FasterRCNN', roi_head=dict(bbox_head=dict(num_classes=5), mask_roi_extractor=None, mask_head=None))
