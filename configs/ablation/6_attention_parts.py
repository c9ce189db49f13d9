"""Step 6 of V2's ablation (arXiv 2212.08059, table 1), on the shapes of the demo.

    python tools/train.py configs/ablation/6_attention_parts.py

Step 4 with a depth-wise convolution of the values and with talking heads.
All steps beside the quoted figures: python tools/study_ablation.py
"""

_base_ = '4_depth_and_width.py'

model = dict(backbone=dict(arch=dict(talking_heads=True, local_value=True)))
