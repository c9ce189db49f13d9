"""SegFormer's head (arXiv 2105.15203) as mmseg sets it up; the leaf names backbone and widths. Keys: model only."""

_base_ = 'encoder_decoder.py'

model = dict(
    decode_head=dict(
        type='SegformerHead',
        in_index=[0, 1, 2, 3],
        channels=256,
    ),
)
