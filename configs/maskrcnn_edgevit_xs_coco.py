"""Mask R-CNN with FPN on EdgeViT XS, COCO 2017, 12 epochs.

    python tools/train.py configs/maskrcnn_edgevit_xs_coco.py

Recipe: as maskrcnn_edgevit_s_coco.py, where it is explained.
Published score (arXiv 2205.03436): mask AP 38.3 on val2017 (quoted second hand).
Measured here: not yet.
"""

_base_ = 'maskrcnn_edgevit_s_coco.py'

model = dict(
    backbone=dict(arch='xs', init_cfg=dict(checkpoint='checkpoints/edgevit_xs.pth')),
)
