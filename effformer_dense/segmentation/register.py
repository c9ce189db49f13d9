"""Import this, as ``custom_imports`` of a config does, to register what needs mmsegmentation."""

from .metric import SegmentationMetric
from .segmentor import TiledEncoderDecoder
from .transforms import LoadSegmentationMap
from .tta import MultiScaleFlipModel

__all__ = ['LoadSegmentationMap', 'MultiScaleFlipModel', 'SegmentationMetric', 'TiledEncoderDecoder']
