"""Step 4 of V2's ablation (arXiv 2212.08059, table 1), on the shapes of the demo.

    python tools/train.py configs/ablation/4_depth_and_width.py

Deeper and narrower. Depths and widths are ours: those of the paper are not published.
All steps beside the quoted figures: python tools/study_ablation.py
"""

_base_ = '../semfpn_v2_s0_shapes.py'

model = dict(
    backbone=dict(
        arch=dict(
            _delete_=True,
            widths=(40, 64, 160, 384),
            depths=(4, 4, 11, 6),
            attention_blocks=(0, 0, 0, 1),
            talking_heads=False,
            local_value=False,
            attention_downsample=False,
        ),
    ),
    neck=dict(in_channels=[40, 64, 160, 384]),
)
