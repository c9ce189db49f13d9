"""Semantic FPN on EfficientFormerV2 L, ADE20K, 40,000 iterations.

    torchrun --nproc_per_node=8 tools/train.py configs/semfpn_v2_l_ade20k.py --launcher pytorch   # eight GPUs x 4 = 32
    python tools/train.py configs/semfpn_v2_l_ade20k.py --cfg-options train_dataloader.batch_size=32     # one GPU x 32
    python tools/train.py configs/semfpn_v2_l_ade20k.py --auto-scale-lr                                  # one GPU x 4

Recipe: quoted from the published segmentation configs of EfficientFormer and EfficientFormerV2 (arXiv 2212.08059,
section 4.2 and its code).
Published score: mIoU 45.2 on the 2000 validation pictures, one scale, whole pictures (quoted). Measured here: not yet.

This is the config that is written out; the others of its family are deltas of a few lines on it. Its four bases hold
what has nothing to do with the backbone: the neck and head, the ADE20K pipelines, the loops and the runtime.
"""

_base_ = [
    '_base_/semantic_fpn.py',
    '_base_/ade20k.py',
    '_base_/schedule_40k.py',
    '_base_/runtime_mmseg.py',
]

model = dict(
    backbone=dict(
        type='EfficientFormerV2',
        arch='l',
        # The bias tables learned at 224 px live on a 7 x 7 grid (7 cells of 32 px). They stay there, and every forward
        # pass interpolates them to the grid of the picture: 16 x 16 for the crops of training, about 16 x 22 in
        # testing. The published code learns them anew, from zero, on a grid of 16.
        bias_grid=7,
        # A distance in cells keeps the bias that it was learned with. Things keep about their size in pixels, and the
        # grid of cells grows: there 'clamp' keeps what a net has learned and stretching loses it (docs/resolution.md).
        bias_resize='clamp',
        # And features do not grow with the number of cells. At 224 px it is what the weights were trained with.
        talking_bias='mean',
        # None takes the variant's own stochastic depth (0.1), which is that of the published COCO recipe.
        drop_path_rate=None,
        # Statistics over all GPUs. With one process the tools put plain BN in its place, here and in the head.
        norm_cfg=dict(type='SyncBN'),
        norm_eval=False,
        frozen_stages=-1,
        # ImageNet weights by timm's name, fetched once into the hub library's cache. `--from-scratch` goes without.
        init_cfg=dict(type='Pretrained', checkpoint='timm://efficientformerv2_l.snap_dist_in1k'),
    ),
    # One entry per stage: the widths of the variant, `EfficientFormerV2(arch='l').out_channels`.
    neck=dict(in_channels=[40, 80, 192, 384]),
)

# AdamW at 2e-4 for 32 pictures per step (8 GPUs x 4), no gradient clipping. For another number of GPUs, either keep the
# 32, and the recipe with them: --cfg-options train_dataloader.batch_size=N, N = 32 / GPUs. Or keep what fits into
# memory and scale the rate with the total batch: --auto-scale-lr makes it 2e-4 x GPUs x batch_size / 32. The schedule
# counts iterations, so a smaller total batch also sees fewer pictures: 40,000 x 32 are 63 passes over the training set.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=2e-4, weight_decay=1e-4),
    clip_grad=None,
)
auto_scale_lr = dict(enable=False, base_batch_size=32)
