"""Faster R-CNN with FPN on EfficientFormerV2 S0 learns synthetic shapes from scratch, on a CPU, in minutes.

    python tools/train.py configs/heads/fasterrcnn_v2_s0_shapes.py

Data and schedule are those of maskrcnn_v2_s0_shapes.py. Score: see docs/heads.md.
"""

_base_ = '../maskrcnn_v2_s0_shapes.py'

model = dict(type='FasterRCNN', roi_head=dict(mask_roi_extractor=None, mask_head=None))

val_evaluator = dict(metric='bbox')
test_evaluator = val_evaluator
