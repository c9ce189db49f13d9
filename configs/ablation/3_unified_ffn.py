"""Step 3 of V2's ablation (arXiv 2212.08059, table 1), on the shapes of the demo.

    python tools/train.py configs/ablation/3_unified_ffn.py

The depth-wise convolution moves into the feed-forward network.
All steps beside the quoted figures: python tools/study_ablation.py
"""

_base_ = '2_depthwise.py'

model = dict(backbone=dict(arch=dict(local_mixer='ffn')))
