"""RTMDet (arXiv 2212.07784), tiny, on EfficientFormerV2 S1, COCO 2017, 300 epochs: boxes alone.

    python tools/train.py configs/heads/rtmdet_v2_s1_coco.py

Recipe: mmdet's rtmdet_tiny_8xb32-300e_coco, neck and head included: 8 GPUs x 32 pictures of 640 px, mosaic
and mixup but in the last 20 epochs. Pictures are RGB here, as the backbone's weights want them; RTMDet's own are BGR.
Published score: none. Measured here: not yet.
"""

_base_ = 'mmdet::rtmdet/rtmdet_tiny_8xb32-300e_coco.py'

custom_imports = dict(imports=['effformer_dense'], allow_failed_imports=False)

model = dict(
    data_preprocessor=dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True),
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
