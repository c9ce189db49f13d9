"""Joint search of size and speed with Mask R-CNN on COCO, in V2's whole space.

    python tools/search.py table v2 --size 800x1344 --out table.json    # on the machine that it should be fast on
    torchrun --nproc_per_node=8 tools/search.py joint configs/search/joint_v2_coco.py --launcher pytorch \
        --size 800x1344 --latency-ms 400 --table table.json

Recipe of the supernet: that of maskrcnn_v2_l_coco.py, from nothing: no published network has all of its blocks.
Measured here: not yet.
"""

_base_ = '../maskrcnn_v2_l_coco.py'

model = dict(backbone=dict(init_cfg=None))
