"""ADE20K (SceneParsing release, 150 classes) with 512 px crops. Keys: data, evaluation and test-time augmentation."""

dataset_type = 'ADE20KDataset'
data_root = 'data/ade/ADEChallengeData2016/'  # another place: --data-root, or link it with tools/prepare_data.py
num_classes = 150
scale = (2048, 512)  # the short side becomes 512 px, unless the long side would pass 2048

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadSegmentationMap', num_classes=num_classes),
    dict(type='RandomResize', scale=scale, ratio_range=(0.5, 2.0), keep_ratio=True),
    dict(type='RandomCrop', crop_size=(512, 512), cat_max_ratio=0.75),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackSegInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=scale, keep_ratio=True),
    # 1 leaves the sides as they are. The published code rounds them up to multiples of 32, which stretches the
    # picture a little: --cfg-options test_dataloader.dataset.pipeline.2.size_divisor=32
    dict(type='ResizeToMultiple', size_divisor=1),
    # After resizing, so that scores are those of the annotation at its own size.
    dict(type='LoadSegmentationMap', num_classes=num_classes),
    dict(type='PackSegInputs'),
]
train_dataloader = dict(
    batch_size=4,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        data_prefix=dict(img_path='images/training', seg_map_path='annotations/training'),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=1,  # pictures have different sizes
    num_workers=4,
    persistent_workers=True,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        data_prefix=dict(img_path='images/validation', seg_map_path='annotations/validation'),
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader

val_evaluator = dict(type='SegmentationMetric')
test_evaluator = val_evaluator

# For tools/test.py --tta: six scales, each as it is and mirrored.
tta_model = dict(type='MultiScaleFlipModel')
tta_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='TestTimeAug',
        transforms=[
            [
                dict(type='Resize', scale=(int(2048 * ratio), int(512 * ratio)), keep_ratio=True)
                for ratio in (0.5, 0.75, 1.0, 1.25, 1.5, 1.75)
            ],
            [
                dict(type='RandomFlip', prob=0.0, direction='horizontal'),
                dict(type='RandomFlip', prob=1.0, direction='horizontal'),
            ],
            [dict(type='ResizeToMultiple', size_divisor=1)],  # as in test_pipeline
            [dict(type='LoadSegmentationMap', num_classes=num_classes)],
            [dict(type='PackSegInputs')],
        ],
    ),
]
