"""The backbones; torch and MMEngine only."""

import importlib.util

# Before the modules below: whoever waits for MMEngine (the package itself) can import any of them, but none half-done.
try:
    import mmengine  # noqa: F401
    import torch  # noqa: F401
except ModuleNotFoundError as error:
    if error.name not in ('mmengine', 'torch'):
        raise
    if importlib.util.find_spec('torch') is None:
        raise ImportError(
            "effformer_dense.backbones needs torch, which is not installed. pip install 'effformer_dense[onedl]' "
            'brings it and all else that training takes. Exported models run without: effformer_dense.runtime.'
        ) from error
    raise ImportError(
        'effformer_dense needs MMEngine, which is not installed. Install the maintained fork, which is what we test: '
        '`pip install onedl-mmengine`, or the original: `pip install mmengine`. '
        'For all of mmdet and mmsegmentation, see "In your own config" in the README.'
    ) from error

from .edgevit import EdgeViT
from .efficientformer_v1 import EfficientFormerV1
from .efficientformer_v2 import EfficientFormerV2
from .layer_decay import LayerDecay
from .timm_features import TimmFeatures

__all__ = ['EdgeViT', 'EfficientFormerV1', 'EfficientFormerV2', 'LayerDecay', 'TimmFeatures']
