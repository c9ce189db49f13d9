"""Step 4 of V2's ablation (arXiv 2212.08059, table 1), on the shapes of the demo.

    python tools/train.py configs/ablation/4_depth_and_width.py

Deeper and narrower. Depths and widths are ours: those of the paper are not published.
All steps beside the quoted figures: python tools/study_ablation.py
"""

_base_ = '3_unified_ffn.py'

model = dict(
    backbone=dict(arch=dict(widths=(40, 64, 160, 384), depths=(4, 4, 11, 6))),
    neck=dict(in_channels=[40, 64, 160, 384]),
)
