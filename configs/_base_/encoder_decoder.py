"""What segmentors of ADE20K share, as mmseg sets them up; the leaf names backbone and head. Keys: model only."""

model = dict(
    type='TiledEncoderDecoder',  # mmseg's EncoderDecoder, predicting in bounded memory
    data_preprocessor=dict(
        type='SegDataPreProcessor',
        mean=[123.675, 116.28, 103.53],  # ImageNet statistics, RGB, 0 to 255
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_val=0,
        seg_pad_val=255,
        size=(512, 512),  # of training crops; pictures are never padded in testing
    ),
    decode_head=dict(
        dropout_ratio=0.1,
        num_classes=150,
        norm_cfg=dict(type='SyncBN'),
        align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0),
    ),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'),
)
