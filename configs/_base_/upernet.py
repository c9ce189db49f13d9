"""UPerNet (arXiv 1807.10221) as mmseg sets it up; the leaf names the backbone and widths. Keys: model only."""

_base_ = 'encoder_decoder_auxiliary.py'

model = dict(
    decode_head=dict(
        type='UPerHead',
        in_index=[0, 1, 2, 3],
        pool_scales=(1, 2, 3, 6),
        channels=512,
    ),
)
