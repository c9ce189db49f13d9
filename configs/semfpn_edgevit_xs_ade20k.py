"""Semantic FPN on EdgeViT XS, ADE20K, 40,000 iterations.

    python tools/train.py configs/semfpn_edgevit_xs_ade20k.py

Recipe: as semfpn_edgevit_s_ade20k.py, where it is explained.
Published score (arXiv 2205.03436): mIoU 41.4 on the validation pictures (quoted).
Measured here: not yet.
"""

_base_ = 'semfpn_edgevit_s_ade20k.py'

model = dict(
    backbone=dict(arch='xs', init_cfg=dict(checkpoint='checkpoints/edgevit_xs.pth')),
)
