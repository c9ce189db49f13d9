"""Cascade Mask R-CNN (arXiv 1906.09756) with FPN on EfficientFormerV2 S1, COCO 2017, 12 epochs.

    python tools/train.py configs/heads/cascade_maskrcnn_v2_s1_coco.py

Recipe: heads of mmdet's cascade-mask-rcnn_r50_fpn, the rest as maskrcnn_v2_l_coco.py, where it is explained.
Published score: none. Measured here: not yet.
"""

_base_ = [
    'mmdet::_base_/models/cascade-mask-rcnn_r50_fpn.py',
    '../_base_/coco_instance.py',
    '../_base_/schedule_1x.py',
    '../_base_/default_runtime.py',
]

model = dict(
    backbone=dict(
        _delete_=True,
        type='EfficientFormerV2',
        arch='s1',
        bias_resize='clamp',
        talking_bias='mean',
        norm_cfg=dict(type='SyncBN'),
        init_cfg=dict(type='Pretrained', checkpoint='timm://efficientformerv2_s1.snap_dist_in1k'),
    ),
    neck=dict(in_channels=[32, 48, 120, 224]),
)

optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=2e-4, weight_decay=0.05), clip_grad=None)
auto_scale_lr = dict(enable=False, base_batch_size=16)
