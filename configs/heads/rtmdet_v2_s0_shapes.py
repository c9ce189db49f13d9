"""RTMDet on EfficientFormerV2 S0 learns synthetic shapes from scratch, on a CPU, in minutes.

    python tools/train.py configs/heads/rtmdet_v2_s0_shapes.py

Data and schedule are those of maskrcnn_v2_s0_shapes.py. Score: see docs/heads.md.
"""

_base_ = [
    '../_base_/rtmdet_small.py',
    '../_base_/shapes_detection.py',
    '../_base_/schedule_shapes.py',
    '../_base_/runtime_shapes.py',
]

model = dict(
    bbox_head=dict(type='RTMDetSepBNHead', with_objectness=False, exp_on_reg=False),
    test_cfg=dict(score_thr=0.001, nms=dict(iou_threshold=0.65)),
)
