"""The published Mask R-CNN checkpoint of EfficientFormerV2 S2, tested as it was trained.

    python tools/test.py configs/legacy/maskrcnn_v2_s2_coco.py CHECKPOINT

Published score (arXiv 2212.08059): box AP 43.4, mask AP 39.5 on val2017 (quoted). Measured here: not yet, see
docs/checkpoints.md.
"""

_base_ = '../maskrcnn_v2_s2_coco.py'

# Biases were learned on a grid of 25 x 25 cells (800 px) and resized as expanded matrices: docs/bias.md.
model = dict(backbone=dict(bias_grid=25, bias_resize='matrix', talking_bias='sum', init_cfg=None))
