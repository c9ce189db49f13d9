"""SegFormer's head (arXiv 2105.15203) on EfficientFormerV2 S1, ADE20K, 160,000 iterations.

    python tools/train.py configs/heads/segformer_v2_s1_ade20k.py

Recipe: mmseg's for SegFormer on MiT-B0 (configs/segformer): 8 GPUs x 2 crops of 512 px; the head learns
ten times as fast.
Published score: none. Measured here: not yet.
"""

_base_ = [
    '../_base_/segformer_head.py',
    '../_base_/ade20k.py',
    '../_base_/schedule_160k.py',
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
    decode_head=dict(in_channels=[32, 48, 120, 224]),
)

train_dataloader = dict(batch_size=2)
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=6e-5, betas=(0.9, 0.999), weight_decay=0.01),
    paramwise_cfg=dict(norm_decay_mult=0.0, custom_keys={'head': dict(lr_mult=10.0)}),
)
auto_scale_lr = dict(enable=False, base_batch_size=16)
