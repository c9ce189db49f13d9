"""What every detector of the shapes shares. Keys: runtime only."""

_base_ = 'default_runtime.py'

custom_imports = dict(imports=['effformer_dense', 'effformer_dense.data.shapes_mmdet'], allow_failed_imports=False)

default_hooks = dict(logger=dict(interval=25))
log_processor = dict(window_size=25)
