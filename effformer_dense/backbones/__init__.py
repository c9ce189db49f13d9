"""EfficientFormer backbones; torch and MMEngine only."""

from .efficientformer_v1 import EfficientFormerV1
from .efficientformer_v2 import EfficientFormerV2

__all__ = ['EfficientFormerV1', 'EfficientFormerV2']
