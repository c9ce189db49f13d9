"""Step 9 of V2's ablation (arXiv 2212.08059, table 1), on the shapes of the demo.

    python tools/train.py configs/ablation/9_attention_downsample.py

A path of attention from 1/16 to 1/32. Depths and widths are ours: those of the paper are not published.
All steps beside the quoted figures: python tools/study_ablation.py
"""

_base_ = '8_stride_attention.py'

model = dict(backbone=dict(arch=dict(depths=(4, 4, 12, 5), attention_downsample=True)))
