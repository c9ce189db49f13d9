"""Cascade Mask R-CNN with FPN on EfficientFormerV2 S0 learns synthetic shapes from scratch, on a CPU, in minutes.

    python tools/train.py configs/heads/cascade_maskrcnn_v2_s0_shapes.py

Data and schedule are those of maskrcnn_v2_s0_shapes.py. Score: see docs/heads.md.
"""

_base_ = [
    'mmdet::_base_/models/cascade-mask-rcnn_r50_fpn.py',
    '../_base_/shapes_instance.py',
    '../_base_/schedule_shapes.py',
    '../_base_/runtime_shapes.py',
]

channels = 64

box_heads = _base_.model.roi_head.bbox_head  # one for each of the three stages
box_heads[0].update(num_classes=5, in_channels=channels, fc_out_channels=256)
box_heads[1].update(num_classes=5, in_channels=channels, fc_out_channels=256)
box_heads[2].update(num_classes=5, in_channels=channels, fc_out_channels=256)
stages = _base_.model.train_cfg.rcnn
stages[0].sampler.num = stages[1].sampler.num = stages[2].sampler.num = 24

model = dict(
    backbone=dict(
        _delete_=True,
        type='EfficientFormerV2',
        arch='s0',
        init_cfg=dict(type='Constant', layer='LayerScale', val=1.0),  # as in mask_rcnn_fpn_small.py
    ),
    neck=dict(in_channels=[32, 48, 96, 176], out_channels=channels, norm_cfg=dict(type='BN')),
    rpn_head=dict(in_channels=channels, feat_channels=channels),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=channels, finest_scale=28, roi_layer=dict(sampling_ratio=1)),
        bbox_head=box_heads,
        mask_roi_extractor=dict(out_channels=channels, finest_scale=28, roi_layer=dict(sampling_ratio=1)),
        mask_head=dict(
            num_classes=5,
            num_convs=2,
            in_channels=channels,
            conv_out_channels=channels,
            class_agnostic=True,
            norm_cfg=dict(type='BN'),
        ),
    ),
    train_cfg=dict(rpn_proposal=dict(nms_pre=200, max_per_img=100), rcnn=stages),
    test_cfg=dict(rpn=dict(nms_pre=200, max_per_img=100), rcnn=dict(max_per_img=30)),
)
