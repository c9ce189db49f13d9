"""Step 7 of V2's ablation (arXiv 2212.08059, table 1), on the shapes of the demo.

    python tools/train.py configs/ablation/7_attention_at_16.py

Two blocks attend at 1/16 as well.
All steps beside the quoted figures: python tools/study_ablation.py
"""

_base_ = '6_attention_parts.py'

model = dict(backbone=dict(arch=dict(attention_blocks=(0, 0, 2, 1), stride_attention=False)))
