"""RTMDet (arXiv 2212.07784) with 64 channels on EfficientFormerV2 S0; the leaf names the head. Keys: model only."""

channels = 64
activation = dict(type='SiLU', inplace=True)

model = dict(
    type='RTMDet',
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
        type='CSPNeXtPAFPN',
        in_channels=[48, 96, 176],
        out_channels=channels,
        num_csp_blocks=1,
        expand_ratio=0.5,
        norm_cfg=dict(type='BN'),
        act_cfg=activation,
    ),
    bbox_head=dict(
        num_classes=5,
        in_channels=channels,
        feat_channels=channels,
        stacked_convs=2,
        share_conv=True,
        pred_kernel_size=1,
        anchor_generator=dict(type='MlvlPointGenerator', offset=0, strides=[8, 16, 32]),
        bbox_coder=dict(type='DistancePointBBoxCoder'),
        loss_cls=dict(type='QualityFocalLoss', use_sigmoid=True, beta=2.0, loss_weight=1.0),
        loss_bbox=dict(type='GIoULoss', loss_weight=2.0),
        norm_cfg=dict(type='BN'),
        act_cfg=activation,
    ),
    train_cfg=dict(
        assigner=dict(type='DynamicSoftLabelAssigner', topk=13), allowed_border=-1, pos_weight=-1, debug=False
    ),
    test_cfg=dict(nms_pre=300, min_bbox_size=0, nms=dict(type='nms'), max_per_img=30),
)
