"""Semantic FPN on EdgeViT XXS, ADE20K, 40,000 iterations.

    python tools/train.py configs/semfpn_edgevit_xxs_ade20k.py

Recipe: as semfpn_edgevit_s_ade20k.py, where it is explained.
Published score (arXiv 2205.03436): mIoU 39.7 on the validation pictures (quoted).
Measured here: not yet.
"""

_base_ = 'semfpn_edgevit_s_ade20k.py'

model = dict(
    backbone=dict(arch='xxs', init_cfg=dict(checkpoint='checkpoints/edgevit_xxs.pth')),
    neck=dict(in_channels=[36, 72, 144, 288]),
)
