"""Joint search of size and speed with Semantic FPN on ADE20K, in V2's whole space.

    python tools/search.py table v2 --size 512 --out table.json    # on the machine that it should be fast on
    torchrun --nproc_per_node=8 tools/search.py joint configs/search/joint_v2_ade20k.py --launcher pytorch \
        --size 512 --latency-ms 150 --table table.json

Recipe of the supernet: that of semfpn_v2_l_ade20k.py, from nothing: no published network has all of its blocks.
Measured here: not yet.
"""

_base_ = '../semfpn_v2_l_ade20k.py'

model = dict(backbone=dict(init_cfg=None))
