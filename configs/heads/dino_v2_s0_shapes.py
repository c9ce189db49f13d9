"""DINO, small, on EfficientFormerV2 S0 learns synthetic shapes from scratch, on a CPU, in minutes.

    python tools/train.py configs/heads/dino_v2_s0_shapes.py

Data and schedule are those of maskrcnn_v2_s0_shapes.py. Score: see docs/heads.md.
"""

_base_ = [
    '../_base_/shapes_detection.py',
    '../_base_/schedule_shapes.py',
    '../_base_/runtime_shapes.py',
]

channels, levels, queries = 64, 4, 60

model = dict(
    type='DINO',
    num_queries=queries,
    with_box_refine=True,
    as_two_stage=True,
    data_preprocessor=dict(
        type='DetDataPreprocessor',
        mean=[123.675, 116.28, 103.53],  # ImageNet statistics, RGB, 0 to 255
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_size_divisor=32,
    ),
    backbone=dict(
        type='EfficientFormerV2',
        arch='s0',
        out_indices=(1, 2, 3),
        init_cfg=dict(type='Constant', layer='LayerScale', val=1.0),  # as in mask_rcnn_fpn_small.py
    ),
    neck=dict(
        type='ChannelMapper',
        in_channels=[48, 96, 176],
        out_channels=channels,
        kernel_size=1,
        act_cfg=None,
        norm_cfg=dict(type='GN', num_groups=8),
        num_outs=levels,
    ),
    encoder=dict(
        num_layers=2,
        layer_cfg=dict(
            self_attn_cfg=dict(embed_dims=channels, num_levels=levels, dropout=0.0),
            ffn_cfg=dict(embed_dims=channels, feedforward_channels=256, ffn_drop=0.0),
        ),
    ),
    decoder=dict(
        num_layers=2,
        return_intermediate=True,
        layer_cfg=dict(
            self_attn_cfg=dict(embed_dims=channels, num_heads=8, dropout=0.0),
            cross_attn_cfg=dict(embed_dims=channels, num_levels=levels, dropout=0.0),
            ffn_cfg=dict(embed_dims=channels, feedforward_channels=256, ffn_drop=0.0),
        ),
        post_norm_cfg=None,
    ),
    positional_encoding=dict(num_feats=channels // 2, normalize=True, offset=0.0, temperature=20),
    bbox_head=dict(
        type='DINOHead',
        num_classes=5,
        embed_dims=channels,
        sync_cls_avg_factor=True,
        loss_cls=dict(type='FocalLoss', use_sigmoid=True, gamma=2.0, alpha=0.25, loss_weight=1.0),
        loss_bbox=dict(type='L1Loss', loss_weight=5.0),
        loss_iou=dict(type='GIoULoss', loss_weight=2.0),
    ),
    dn_cfg=dict(
        label_noise_scale=0.5,
        box_noise_scale=1.0,
        group_cfg=dict(dynamic=True, num_groups=None, num_dn_queries=20),
    ),
    train_cfg=dict(
        assigner=dict(
            type='HungarianAssigner',
            match_costs=[
                dict(type='FocalLossCost', weight=2.0),
                dict(type='BBoxL1Cost', weight=5.0, box_format='xywh'),
                dict(type='IoUCost', iou_mode='giou', weight=2.0),
            ],
        )
    ),
    test_cfg=dict(max_per_img=30),
)
optim_wrapper = dict(optimizer=dict(lr=5e-4), clip_grad=dict(max_norm=0.1, norm_type=2))
