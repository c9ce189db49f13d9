"""Semantic FPN on EdgeViT S, ADE20K, 40,000 iterations.

    python tools/train.py configs/semfpn_edgevit_s_ade20k.py

Recipe: as semfpn_v2_l_ade20k.py, where it is explained; the code of the paper's own dense models was not published.
Published score (arXiv 2205.03436): mIoU 45.9 on the validation pictures (quoted). Measured here: not yet.
"""

_base_ = 'semfpn_v2_l_ade20k.py'

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
