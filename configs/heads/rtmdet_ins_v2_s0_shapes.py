"""RTMDet-Ins on EfficientFormerV2 S0 learns synthetic shapes from scratch, on a CPU, in minutes.

    python tools/train.py configs/heads/rtmdet_ins_v2_s0_shapes.py

Data and schedule are those of maskrcnn_v2_s0_shapes.py. Score: see docs/heads.md.
"""

_base_ = [
    '../_base_/rtmdet_small.py',
    '../_base_/shapes_instance.py',
    '../_base_/schedule_shapes.py',
    '../_base_/runtime_shapes.py',
]

model = dict(
    bbox_head=dict(
        type='RTMDetInsSepBNHead', loss_mask=dict(type='DiceLoss', loss_weight=2.0, eps=5e-6, reduction='mean')
    ),
    test_cfg=dict(score_thr=0.05, nms=dict(iou_threshold=0.6), mask_thr_binary=0.5),
)
