"""Scenes of overlapping shapes in ADE20K's layout, 128 px, made on first use. Keys: data, evaluation, data loaders."""

size_px = 128
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
