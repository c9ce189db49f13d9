"""The published Mask R-CNN checkpoint of EfficientFormerV1 L3, tested as it was trained.

    python tools/test.py configs/legacy/maskrcnn_v1_l3_coco.py CHECKPOINT

Published score (arXiv 2206.01191): box AP 41.4, mask AP 38.1 on val2017 (quoted). Measured here: not yet, see
docs/checkpoints.md.
"""

_base_ = '../maskrcnn_v1_l3_coco.py'

# Biases were learned on a grid of 25 x 25 cells (800 px) and resized as expanded matrices: docs/bias.md.
model = dict(backbone=dict(bias_grid=25, bias_resize='matrix', init_cfg=None))
