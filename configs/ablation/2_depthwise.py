"""Step 2 of V2's ablation (arXiv 2212.08059, table 1), on the shapes of the demo.

    python tools/train.py configs/ablation/2_depthwise.py

V1's pooling becomes a 3 x 3 depth-wise convolution.
All steps beside the quoted figures: python tools/study_ablation.py
"""

_base_ = '../semfpn_v2_s0_shapes.py'

model = dict(
    backbone=dict(
        arch=dict(
            _delete_=True,
            widths=(48, 96, 224, 448),
            depths=(3, 2, 6, 4),
            attention_blocks=(0, 0, 0, 1),
            local_mixer='depthwise',
            talking_heads=False,
            local_value=False,
            attention_downsample=False,
        ),
    ),
    neck=dict(in_channels=[48, 96, 224, 448]),
)
