"""Latency-driven slimming with Semantic FPN on the shapes of the demo.

    python tools/search.py slim configs/search/slim_v1_shapes.py --size 128 --latency-share 0.4 --score loss

The space is small on purpose: at most two thirds of L1's widths. 800 iterations of 4 pictures train the mix of all
blocks, each at full width and at another one.
"""

_base_ = '../semfpn_v2_s0_shapes.py'

model = dict(
    backbone=dict(type='EfficientFormerV1', arch='l1'),
    neck=dict(in_channels=[48, 96, 224, 448]),
)

search = dict(
    space=dict(
        widths=[[16, 32], [32, 48, 64], [48, 64, 80, 96, 112], [96, 128, 160, 192, 224]],
        depths=[2, 2, 4, 3],
        attention=[0, 0, 4, 3],
    )
)

max_iters = 800
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=30),
    dict(type='CosineAnnealingLR', eta_min=1e-5, begin=30, end=max_iters, by_epoch=False),
]
default_hooks = dict(checkpoint=dict(interval=max_iters))
