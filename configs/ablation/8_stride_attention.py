"""Step 8 of V2's ablation (arXiv 2212.08059, table 1), on the shapes of the demo.

    python tools/train.py configs/ablation/8_stride_attention.py

They attend on the grid of 1/32.
All steps beside the quoted figures: python tools/study_ablation.py
"""

_base_ = '7_attention_at_16.py'

model = dict(backbone=dict(arch=dict(stride_attention=True)))
