"""RetinaNet with FPN on EdgeViT XXS, COCO 2017, 12 epochs: boxes alone.

    python tools/train.py configs/retinanet_edgevit_xxs_coco.py

Recipe: as retinanet_edgevit_s_coco.py, where it is explained.
Published score (arXiv 2205.03436): box AP 38.7 on val2017 (quoted).
Measured here: not yet.
"""

_base_ = 'retinanet_edgevit_s_coco.py'

model = dict(
    backbone=dict(arch='xxs', init_cfg=dict(checkpoint='checkpoints/edgevit_xxs.pth')),
    neck=dict(in_channels=[36, 72, 144, 288]),
)
