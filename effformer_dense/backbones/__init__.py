"""EfficientFormer backbones; torch and MMEngine only."""

# Before the modules below: whoever waits for MMEngine (the package itself) can import any of them, but none half-done.
try:
    import mmengine  # noqa: F401
except ModuleNotFoundError as error:
    if error.name != 'mmengine':
        raise
    raise ImportError(
        'effformer_dense needs MMEngine, which is not installed. Install the maintained fork, which is what we test: '
        '`pip install onedl-mmengine`, or the original: `pip install mmengine`. '
        'For all of mmdet and mmsegmentation, see "In your own config" in the README.'
    ) from error

from .efficientformer_v1 import EfficientFormerV1
from .efficientformer_v2 import EfficientFormerV2

__all__ = ['EfficientFormerV1', 'EfficientFormerV2']
