"""RetinaNet with FPN on EdgeViT XS, COCO 2017, 12 epochs: boxes alone.

    python tools/train.py configs/retinanet_edgevit_xs_coco.py

Recipe: as retinanet_edgevit_s_coco.py, where it is explained.
Published score (arXiv 2205.03436): box AP 40.6 on val2017 (quoted).
Measured here: not yet.
"""

_base_ = 'retinanet_edgevit_s_coco.py'

model = dict(
    backbone=dict(arch='xs', init_cfg=dict(checkpoint='checkpoints/edgevit_xs.pth')),
)
