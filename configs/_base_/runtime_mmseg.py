"""What every segmentation run shares: the same in mmseg's scope, counted in iterations. Keys: runtime only."""

_base_ = 'default_runtime.py'

default_scope = 'mmseg'
custom_imports = dict(imports=['effformer_dense', 'effformer_dense.segmentation.register'], allow_failed_imports=False)

default_hooks = dict(checkpoint=dict(by_epoch=False, interval=4000))
visualizer = dict(type='SegLocalVisualizer')
log_processor = dict(by_epoch=False)
