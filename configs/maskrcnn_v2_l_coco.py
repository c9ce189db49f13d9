"""Mask R-CNN with FPN on EfficientFormerV2 L, COCO 2017, 12 epochs.

    python tools/train.py configs/maskrcnn_v2_l_coco.py                                         # one GPU
    torchrun --nproc_per_node=8 tools/train.py configs/maskrcnn_v2_l_coco.py --launcher pytorch  # eight

Recipe: quoted from the published detection configs of EfficientFormerV2 (arXiv 2212.08059, section 4.2 and its code).
Published score: box AP 44.7, mask AP 40.4 on val2017 (quoted). Measured here: not yet.

This is the config that is written out; the others of its family are deltas of a few lines on it. Its four bases hold
what has nothing to do with the backbone: Mask R-CNN's heads, the COCO pipelines, the loops and the runtime.
"""

_base_ = [
    '_base_/mask_rcnn_fpn.py',
    '_base_/coco_instance.py',
    '_base_/schedule_1x.py',
    '_base_/default_runtime.py',
]

model = dict(
    backbone=dict(
        type='EfficientFormerV2',
        arch='l',
        # The bias tables learned at 224 px live on a 7 x 7 grid (7 cells of 32 px). They stay there, and every forward
        # pass interpolates them to the grid of the image: about 25 x 42 at 800 x 1333. A grid of 25 would give the
        # tables a parameter for every offset that an 800 px side can have; the published code does so, and starts it
        # from zero.
        bias_grid=7,
        # A distance in cells keeps the bias that it was learned with. Things keep about their size in pixels, and the
        # grid of cells grows: there 'clamp' keeps what a net has learned and stretching loses it (docs/resolution.md).
        bias_resize='clamp',
        # And features do not grow with the number of cells. At 224 px it is what the weights were trained with.
        talking_bias='mean',
        # Stochastic depth of the published dense recipe; it differs by size, so None takes the variant's own (0.1).
        drop_path_rate=None,
        # The published code meant to freeze batch norm, but its conversion to SyncBN lets it train. So it does here,
        # over all GPUs; norm_eval=True is what was meant. With one process the tools put plain BN in its place.
        norm_cfg=dict(type='SyncBN'),
        norm_eval=False,
        frozen_stages=-1,
        # ImageNet weights by timm's name, fetched once into the hub library's cache. `--from-scratch` goes without.
        init_cfg=dict(type='Pretrained', checkpoint='timm://efficientformerv2_l.snap_dist_in1k'),
    ),
    # One entry per stage: the widths of the variant, `EfficientFormerV2(arch='l').out_channels`.
    neck=dict(in_channels=[40, 80, 192, 384]),
)

# AdamW at 2e-4 for 16 pictures per step (8 GPUs x 2). `auto_scale_lr` scales it linearly when
# --auto-scale-lr is given; MMEngine then compares with the real number of GPUs x batch_size.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=2e-4, weight_decay=0.05),
    # No gradient clipping, as published.
    clip_grad=None,
)
auto_scale_lr = dict(enable=False, base_batch_size=16)
