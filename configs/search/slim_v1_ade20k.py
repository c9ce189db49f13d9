"""Latency-driven slimming with Semantic FPN on ADE20K, in V1's whole space.

    python tools/search.py table v1 --size 512 --out table.json    # on the machine that it should be fast on
    torchrun --nproc_per_node=8 tools/search.py slim configs/search/slim_v1_ade20k.py --launcher pytorch \
        --size 512 --latency-ms 150 --table table.json

Recipe of the supernet: that of semfpn_v1_l7_ade20k.py, from nothing: no published network has both blocks
in each place.
Measured here: not yet.
"""

_base_ = '../semfpn_v1_l7_ade20k.py'

model = dict(backbone=dict(init_cfg=None))
