"""Step 5 of V2's ablation (arXiv 2212.08059, table 1), on the shapes of the demo.

    python tools/train.py configs/ablation/5_five_stages.py

A fifth stage, at 1/64; the paper does not keep it. Depths and widths are ours: those of the paper are not published.
All steps beside the quoted figures: python tools/study_ablation.py
"""

_base_ = '4_depth_and_width.py'

model = dict(
    backbone=dict(
        out_indices=(0, 1, 2, 3, 4),
        arch=dict(widths=(40, 80, 160, 256, 384), depths=(5, 5, 7, 5, 4), attention_blocks=(0, 0, 0, 0, 1)),
    ),
    neck=dict(in_channels=[40, 80, 160, 256, 384], num_outs=5),
    decode_head=dict(in_channels=[64] * 5, in_index=[0, 1, 2, 3, 4], feature_strides=[4, 8, 16, 32, 64]),
)
