"""RetinaNet with FPN on EdgeViT S, COCO 2017, 12 epochs: boxes alone.

    python tools/train.py configs/retinanet_edgevit_s_coco.py

Recipe: mmdet's for RetinaNet on PVT (configs/pvt), the pyramid transformer that the paper's tables begin with; the code
of the paper's own dense models was not published.
Published score (arXiv 2205.03436): box AP 43.4 on val2017 (quoted). Measured here: not yet.
"""

_base_ = [
    '_base_/retinanet_fpn.py',
    '_base_/coco_detection.py',
    '_base_/schedule_1x.py',
    '_base_/default_runtime.py',
]

model = dict(
    backbone=dict(
        type='EdgeViT',
        arch='s',
        drop_path_rate=0.1,  # that of the classifier's published command; nobody published the dense models'
        norm_cfg=dict(type='SyncBN'),
        # A classifier's checkpoint of the published code. No hub has one by name; `--from-scratch` goes without.
        init_cfg=dict(type='Pretrained', checkpoint='checkpoints/edgevit_s.pth'),
    ),
    neck=dict(in_channels=[48, 96, 240, 384]),
)

# AdamW at 1e-4 for 16 pictures per step (8 GPUs x 2).
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=1e-4, weight_decay=1e-4), clip_grad=None)
auto_scale_lr = dict(enable=False, base_batch_size=16)
