"""Mask2Former (arXiv 2112.01527) on EfficientFormerV2 S1, COCO 2017 instances, 50 epochs.

    python tools/train.py configs/heads/mask2former_v2_s1_coco.py

Recipe: mmdet's mask2former_r50_8xb2-lsj-50e_coco, head included; the backbone learns at a tenth of the rate.
Published score: none. Measured here: not yet.
"""

_base_ = 'mmdet::mask2former/mask2former_r50_8xb2-lsj-50e_coco.py'

custom_imports = dict(imports=['effformer_dense'], allow_failed_imports=False)

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
    panoptic_head=dict(in_channels=[32, 48, 120, 224]),
)
