"""Step 1 of V2's ablation (arXiv 2212.08059, table 1), on the shapes of the demo.

    python tools/train.py configs/ablation/1_v1_l1.py

V1 L1, from which it sets out.
All steps beside the quoted figures: python tools/study_ablation.py
"""

_base_ = '../semfpn_v2_s0_shapes.py'

model = dict(
    backbone=dict(type='EfficientFormerV1', arch='l1'),
    neck=dict(in_channels=[48, 96, 224, 448]),
)
