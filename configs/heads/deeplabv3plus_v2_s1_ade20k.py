"""DeepLabV3+ (arXiv 1802.02611) on EfficientFormerV2 S1, ADE20K, 40,000 iterations.

    python tools/train.py configs/heads/deeplabv3plus_v2_s1_ade20k.py

Recipe: mmseg's head on ResNet 50; optimizer and schedule as semfpn_v2_l_ade20k.py, where they are explained, for mmseg
has none of this head on such a backbone.
Published score: none. Measured here: not yet.
"""

_base_ = [
    '../_base_/deeplabv3plus.py',
    '../_base_/ade20k.py',
    '../_base_/schedule_40k.py',
    '../_base_/runtime_mmseg.py',
]

model = dict(
    backbone=dict(
        type='EfficientFormerV2',
        arch='s1',
        bias_resize='clamp',
        talking_bias='mean',
        norm_cfg=dict(type='SyncBN'),
        init_cfg=dict(type='Pretrained', checkpoint='timm://efficientformerv2_s1.snap_dist_in1k'),
    ),
    decode_head=dict(in_channels=224, c1_in_channels=32),
    auxiliary_head=dict(in_channels=120),
)

optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=2e-4, weight_decay=1e-4), clip_grad=None)
auto_scale_lr = dict(enable=False, base_batch_size=32)
