"""Semantic FPN on EfficientFormerV2 S0 learns to segment synthetic shapes from scratch, on a CPU, in minutes.

    python tools/train.py configs/semfpn_v2_s0_shapes.py

The data set makes itself on first use under data/shapes_ade, in ADE20K's layout. Everything is small on purpose: 128 px
pictures, 64 channels, 2400 iterations of 4. Score to expect: mIoU 0.78 to 0.80 on the held-out pictures after 5 minutes
on 2 CPU cores (measured). Another backbone is a line: ``model=dict(backbone=dict(arch='s1'),
neck=dict(in_channels=[32, 48, 120, 224]))``, from its row in the README's table.
"""

_base_ = ['_base_/semantic_fpn_small.py', '_base_/runtime_mmseg.py']

custom_imports = dict(
    imports=['effformer_dense', 'effformer_dense.segmentation.register', 'effformer_dense.data.shapes_mmseg'],
    allow_failed_imports=False,
)

size_px = 128

model = dict(
    data_preprocessor=dict(size=(size_px, size_px)),
    decode_head=dict(
        num_classes=6,  # ground and five shapes
        # Four pixels in five are ground: the overlap of classes counts beside the pixels.
        loss_decode=[
            dict(type='CrossEntropyLoss', loss_weight=1.0),
            dict(type='DiceLoss', use_sigmoid=False, loss_weight=1.0),
        ],
    ),
)

# Data: scenes of overlapping shapes, see effformer_dense/data/shapes.py.
data_root = 'data/shapes_ade/'
shapes = dict(splits=dict(training=2000, validation=120), size_px=size_px, seed=0)

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadSegmentationMap', num_classes=6),
    dict(type='RandomFlip', prob=[0.25, 0.25, 0.25], direction=['horizontal', 'vertical', 'diagonal']),
    dict(type='PackSegInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(size_px, size_px), keep_ratio=True),
    dict(type='ResizeToMultiple', size_divisor=1),
    dict(type='LoadSegmentationMap', num_classes=6),
    dict(type='PackSegInputs'),
]
dataset = dict(type='ShapesSegDataset', data_root=data_root, shapes=shapes)

train_dataloader = dict(
    batch_size=4,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        **dataset,
        data_prefix=dict(img_path='images/training', seg_map_path='annotations/training'),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=8,
    num_workers=1,
    persistent_workers=True,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        **dataset,
        data_prefix=dict(img_path='images/validation', seg_map_path='annotations/validation'),
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='SegmentationMetric')
test_evaluator = val_evaluator

# For tools/test.py --tta.
tta_model = dict(type='MultiScaleFlipModel')
tta_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='TestTimeAug',
        transforms=[
            [dict(type='Resize', scale=(side, side), keep_ratio=True) for side in (112, 128, 144)],
            [dict(type='RandomFlip', prob=prob, direction='horizontal') for prob in (0.0, 1.0)],
            [dict(type='LoadSegmentationMap', num_classes=6)],
            [dict(type='PackSegInputs')],
        ],
    ),
]

# Schedule: 2400 iterations, cosine after a short warm-up.
max_iters = 2400
train_cfg = dict(type='IterBasedTrainLoop', max_iters=max_iters, val_interval=1200)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(
    type='OptimWrapper',
    # Second moments over 20 steps instead of 1000: half as much again was learned in the first 600.
    optimizer=dict(type='AdamW', lr=3e-3, betas=(0.9, 0.95), weight_decay=0.05, fused=True),
    clip_grad=dict(max_norm=10.0),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=30),
    dict(type='CosineAnnealingLR', eta_min=1e-5, begin=30, end=max_iters, by_epoch=False),
]
default_hooks = dict(logger=dict(interval=50), checkpoint=dict(interval=1200))
