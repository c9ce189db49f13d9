"""Can this set-up learn at all? Mask R-CNN on EfficientFormerV2 S0 learns a handful of COCO pictures by heart.

    python tools/train.py configs/maskrcnn_v2_s0_overfit.py --data-root DATA_COCO

It trains on the first six pictures of val2017 and evaluates ON THE SAME SIX: the score says that data, model and
training fit together, and nothing about other pictures. Score to expect: segm_mAP 0.73 after 12
minutes on 2 CPU cores (measured on six pictures with 36 objects).
"""

_base_ = ['_base_/mask_rcnn_fpn_small.py', '_base_/coco_instance.py', '_base_/default_runtime.py']

scale = (512, 384)  # a fifth of the published pixels, for a CPU's sake
pictures = 6

model = dict(
    # At this size some objects are 5 px wide: anchors start at 8 px instead of 32, and more of them are kept.
    rpn_head=dict(anchor_generator=dict(scales=[2, 4, 8])),
    train_cfg=dict(rpn_proposal=dict(nms_pre=500, max_per_img=250), rcnn=dict(sampler=dict(num=48))),
    test_cfg=dict(rpn=dict(nms_pre=500, max_per_img=250), rcnn=dict(max_per_img=100)),
)

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
    dict(type='Resize', scale=scale, keep_ratio=True),
    dict(type='PackDetInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=scale, keep_ratio=True),
    dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
    dict(
        type='PackDetInputs',
        # `instances` carries the ground truth to the metric, which then scores these pictures alone.
        meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor', 'instances'),
    ),
]
train_dataloader = dict(
    batch_size=2,
    num_workers=1,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        ann_file='annotations/instances_val2017.json',
        data_prefix=dict(img='val2017/'),
        filter_cfg=dict(filter_empty_gt=False),  # or the six would not be the same six
        indices=pictures,
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(num_workers=1, dataset=dict(indices=pictures, pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=None)
test_evaluator = val_evaluator

train_cfg = dict(type='IterBasedTrainLoop', max_iters=800, val_interval=400)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.0),
    clip_grad=dict(max_norm=10.0),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=30),
    dict(type='CosineAnnealingLR', eta_min=1e-5, begin=30, end=800, by_epoch=False),
]
default_hooks = dict(logger=dict(interval=25), checkpoint=dict(by_epoch=False, interval=800))
log_processor = dict(by_epoch=False)
