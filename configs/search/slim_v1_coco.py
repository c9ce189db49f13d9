"""Latency-driven slimming with Mask R-CNN on COCO, in V1's whole space.

    python tools/search.py table v1 --size 800x1344 --out table.json    # on the machine that it should be fast on
    torchrun --nproc_per_node=8 tools/search.py slim configs/search/slim_v1_coco.py --launcher pytorch \
        --size 800x1344 --latency-ms 400 --table table.json

Recipe of the supernet: that of maskrcnn_v1_l7_coco.py, from nothing: no published network has both blocks
in each place.
Measured here: not yet.
"""

_base_ = '../maskrcnn_v1_l7_coco.py'

model = dict(backbone=dict(init_cfg=None))
