"""What every segmentor of the shapes shares. Keys: runtime only."""

_base_ = 'runtime_mmseg.py'

custom_imports = dict(
    imports=['effformer_dense', 'effformer_dense.segmentation.register', 'effformer_dense.data.shapes_mmseg'],
    allow_failed_imports=False,
)

default_hooks = dict(logger=dict(interval=50), checkpoint=dict(interval=1200))
