"""Mask R-CNN with 64-channel heads and few proposals: learns on a CPU in minutes. Keys: model only."""

_base_ = 'mask_rcnn_fpn.py'

channels = 64

model = dict(
    backbone=dict(
        type='EfficientFormerV2',
        arch='s0',
        # Published layer scales start at 1e-5, for schedules a thousand times longer; from there, the blocks would
        # still be asleep when these trainings end.
        init_cfg=dict(type='Constant', layer='LayerScale', val=1.0),
    ),
    # From scratch, norm layers in neck and mask head make the first iterations count (cf. arXiv 1811.08883).
    neck=dict(in_channels=[32, 48, 96, 176], out_channels=channels, norm_cfg=dict(type='BN')),
    rpn_head=dict(in_channels=channels, feat_channels=channels),
    roi_head=dict(
        # One sample per RoIAlign bin: bins are about a cell wide here, and on a CPU samples are what costs.
        bbox_roi_extractor=dict(out_channels=channels, finest_scale=28, roi_layer=dict(sampling_ratio=1)),
        # Boxes and masks are learned for all classes together, from all examples.
        bbox_head=dict(in_channels=channels, fc_out_channels=256, reg_class_agnostic=True),
        mask_roi_extractor=dict(out_channels=channels, finest_scale=28, roi_layer=dict(sampling_ratio=1)),
        mask_head=dict(
            num_convs=2, in_channels=channels, conv_out_channels=channels, class_agnostic=True, norm_cfg=dict(type='BN')
        ),
    ),
    train_cfg=dict(
        rpn_proposal=dict(nms_pre=200, max_per_img=100),
        rcnn=dict(sampler=dict(num=24, pos_fraction=0.5)),
    ),
    test_cfg=dict(rpn=dict(nms_pre=200, max_per_img=100), rcnn=dict(max_per_img=30)),
)
