"""Joint search of size and speed with Semantic FPN on the shapes of the demo: make demo-search.

    python tools/search.py joint configs/search/joint_v2_shapes.py --size 128 --latency-share 0.4 --score loss

The space is small on purpose: from a bit more than half of S0 down to an eighth. 500 iterations of 4 pictures train
four sub-networks each.
"""

_base_ = '../semfpn_v2_s0_shapes.py'

search = dict(
    space=dict(
        widths=[[16, 24, 32], [24, 32, 48], [48, 64, 96], [96, 128, 176]],
        depths=[2, 2, 4, 3],
        ratios=[2, 3, 4],
        attention=[0, 0, 2, 2],
    )
)

max_iters = 500
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=30),
    dict(type='CosineAnnealingLR', eta_min=1e-5, begin=30, end=max_iters, by_epoch=False),
]
default_hooks = dict(checkpoint=dict(interval=max_iters))
