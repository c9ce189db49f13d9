"""Step 7 of V2's ablation (arXiv 2212.08059, table 1), on the shapes of the demo.

    python tools/train.py configs/ablation/7_attention_at_16.py

Two blocks attend at 1/16 as well.
All steps beside the quoted figures: python tools/study_ablation.py
"""

_base_ = '../semfpn_v2_s0_shapes.py'

model = dict(
    backbone=dict(
        arch=dict(
            _delete_=True,
            widths=(40, 64, 160, 384),
            depths=(4, 4, 11, 6),
            attention_blocks=(0, 0, 2, 1),
            attention_downsample=False,
            stride_attention=False,
        ),
    ),
    neck=dict(in_channels=[40, 64, 160, 384]),
)
