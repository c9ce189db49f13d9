"""The published Semantic FPN checkpoint of EfficientFormerV2 S2, tested as it was trained.

    python tools/test.py configs/legacy/semfpn_v2_s2_ade20k.py CHECKPOINT

Published score (arXiv 2212.08059): mIoU 42.4 on the validation pictures (quoted). Measured here: not yet, see
docs/checkpoints.md.
"""

_base_ = '../semfpn_v2_s2_ade20k.py'

# Biases were learned on a grid of 16 x 16 cells (512 px) and resized as expanded matrices: docs/bias.md.
model = dict(backbone=dict(bias_grid=16, bias_resize='matrix', talking_bias='sum', init_cfg=None))
# Pictures were tested with sides rounded up to multiples of 32.
_base_.test_dataloader.dataset.pipeline[2].size_divisor = 32
