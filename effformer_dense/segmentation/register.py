"""Import this, as ``custom_imports`` of a config does, to register what needs mmsegmentation."""

from .metric import SegmentationMetric
from .segmentor import BandedEncoderDecoder
from .transforms import LoadLabels
from .tta import MultiScaleFlipModel

__all__ = ['BandedEncoderDecoder', 'LoadLabels', 'MultiScaleFlipModel', 'SegmentationMetric']
