"""Mask R-CNN with FPN on EdgeViT XXS, COCO 2017, 12 epochs.

    python tools/train.py configs/maskrcnn_edgevit_xxs_coco.py

Recipe: as maskrcnn_edgevit_s_coco.py, where it is explained.
Published score (arXiv 2205.03436): mask AP 36.9 on val2017 (quoted second hand).
Measured here: not yet.
"""

_base_ = 'maskrcnn_edgevit_s_coco.py'

model = dict(
    backbone=dict(arch='xxs', init_cfg=dict(checkpoint='checkpoints/edgevit_xxs.pth')),
    neck=dict(in_channels=[36, 72, 144, 288]),
)
