"""EfficientFormer backbones for detection and segmentation.

Importing the package registers every backbone in MMEngine's root ``MODELS`` registry, every file layout
with the backbones, the ``timm://`` checkpoint scheme, and what stands in for mmcv's ops where they are not compiled.
"""

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

from . import checkpoint, mmcv_ops
from .backbones import EfficientFormerV1, EfficientFormerV2
from .version import __version__

mmcv_ops.install()

__all__ = ['EfficientFormerV1', 'EfficientFormerV2', '__version__', 'checkpoint']
