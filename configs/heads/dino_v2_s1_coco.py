"""DINO (arXiv 2203.03605), four scales, on EfficientFormerV2 S1, COCO 2017, 12 epochs: boxes alone, without NMS.

    python tools/train.py configs/heads/dino_v2_s1_coco.py

Recipe: mmdet's dino-4scale_r50_8xb2-12e_coco, neck and head included; the backbone learns at a tenth of the rate.
Published score: none. Measured here: not yet.
"""

_base_ = 'mmdet::dino/dino-4scale_r50_8xb2-12e_coco.py'

custom_imports = dict(imports=['effformer_dense'], allow_failed_imports=False)

model = dict(
    backbone=dict(
        _delete_=True,
        type='EfficientFormerV2',
        arch='s1',
        out_indices=(1, 2, 3),
        bias_resize='clamp',
        talking_bias='mean',
        norm_cfg=dict(type='SyncBN'),
        init_cfg=dict(type='Pretrained', checkpoint='timm://efficientformerv2_s1.snap_dist_in1k'),
    ),
    neck=dict(in_channels=[48, 120, 224]),
)
