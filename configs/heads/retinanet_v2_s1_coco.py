"""RetinaNet with FPN on EfficientFormerV2 S1, COCO 2017, 12 epochs: boxes alone.

    python tools/train.py configs/heads/retinanet_v2_s1_coco.py

Recipe: mmdet's for RetinaNet on PVT (configs/pvt), as for EdgeViT.
Published score: none. Measured here: not yet.
"""

_base_ = '../retinanet_edgevit_s_coco.py'

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
