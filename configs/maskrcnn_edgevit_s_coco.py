"""Mask R-CNN with FPN on EdgeViT S, COCO 2017, 12 epochs.

    python tools/train.py configs/maskrcnn_edgevit_s_coco.py

Recipe: as maskrcnn_v2_l_coco.py, where it is explained, with the weight decay of PVT's; the code of
the paper's own dense models was not published.
Published score (arXiv 2205.03436): mask AP 41.0 on val2017 (quoted second hand). Measured here: not yet.
"""

_base_ = 'maskrcnn_v2_l_coco.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='EdgeViT',
        arch='s',
        drop_path_rate=0.1,  # that of the classifier's published command; nobody published the dense models'
        norm_cfg=dict(type='SyncBN'),
        # A classifier's checkpoint of the published code. No hub has one by name; `--from-scratch` goes without.
        init_cfg=dict(type='Pretrained', checkpoint='checkpoints/edgevit_s.pth'),
    ),
    neck=dict(in_channels=[48, 96, 240, 384]),
)
optim_wrapper = dict(optimizer=dict(weight_decay=1e-4))
