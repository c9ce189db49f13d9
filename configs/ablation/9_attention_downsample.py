"""Step 9 of V2's ablation (arXiv 2212.08059, table 1), on the shapes of the demo.

    python tools/train.py configs/ablation/9_attention_downsample.py

A path of attention from 1/16 to 1/32. Depths and widths are ours: those of the paper are not published.
All steps beside the quoted figures: python tools/study_ablation.py
"""

_base_ = '../semfpn_v2_s0_shapes.py'

model = dict(
    backbone=dict(
        arch=dict(
            _delete_=True,
            widths=(40, 64, 160, 384),
            depths=(4, 4, 12, 5),
            attention_blocks=(0, 0, 2, 1),
        ),
    ),
    neck=dict(in_channels=[40, 64, 160, 384]),
)
