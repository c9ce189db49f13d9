"""Semantic FPN with 64 channels on EfficientFormerV2 S0: learns on a CPU in minutes. Keys: model only."""

_base_ = 'semantic_fpn.py'

channels = 64

model = dict(
    backbone=dict(
        type='EfficientFormerV2',
        arch='s0',
        # Published layer scales start at 1e-5, for schedules a thousand times longer; from there, the blocks would
        # still be asleep when these trainings end.
        init_cfg=dict(type='Constant', layer='LayerScale', val=1.0),
    ),
    # From scratch, norm layers in the neck make the first iterations count (cf. arXiv 1811.08883).
    neck=dict(in_channels=[32, 48, 96, 176], out_channels=channels, norm_cfg=dict(type='BN')),
    decode_head=dict(in_channels=[channels] * 4, channels=channels, dropout_ratio=0.0, norm_cfg=dict(type='BN')),
)
