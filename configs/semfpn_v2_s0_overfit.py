"""Can this set-up learn at all? Semantic FPN on EfficientFormerV2 S0 learns three ADE20K pictures by heart.

    python tools/train.py configs/semfpn_v2_s0_overfit.py --data-root DATA_ADE

It trains on the first three validation pictures and evaluates ON THE SAME THREE: the score says that data, model and
training fit together, and nothing about other pictures. Score to expect: mIoU 0.87 after 6.5 minutes on 2 CPU cores
(measured).
"""

_base_ = ['_base_/semantic_fpn_small.py', '_base_/ade20k.py', '_base_/runtime_mmseg.py']

scale = (1024, 256)  # a quarter of the published pixels, for a CPU's sake
pictures = 3
max_iters = 400

model = dict(data_preprocessor=dict(size=(256, 352)))  # to which whole pictures are padded for a batch

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadSegmentationMap', num_classes=150),
    dict(type='Resize', scale=scale, keep_ratio=True),
    dict(type='PackSegInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=scale, keep_ratio=True),
    dict(type='ResizeToMultiple', size_divisor=1),
    dict(type='LoadSegmentationMap', num_classes=150),
    dict(type='PackSegInputs'),
]
train_dataloader = dict(
    batch_size=pictures,
    num_workers=1,
    dataset=dict(
        data_prefix=dict(img_path='images/validation', seg_map_path='annotations/validation'),
        indices=pictures,
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(num_workers=1, dataset=dict(indices=pictures, pipeline=test_pipeline))
test_dataloader = val_dataloader

train_cfg = dict(type='IterBasedTrainLoop', max_iters=max_iters, val_interval=200)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=2e-3, weight_decay=0.0),
    clip_grad=dict(max_norm=10.0),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=30),
    dict(type='CosineAnnealingLR', eta_min=1e-5, begin=30, end=max_iters, by_epoch=False),
]
default_hooks = dict(logger=dict(interval=25), checkpoint=dict(interval=max_iters))
