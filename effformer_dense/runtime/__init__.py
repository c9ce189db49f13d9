"""Exported models, run without torch: numpy, Pillow and ONNX Runtime or OpenVINO.

>>> from effformer_dense.runtime import load
>>> model = load('detector.onnx')
>>> found = model('street.jpg')
>>> found.boxes, found.labels, found.scores, found.masks
"""

from ..results import Classes, Detections, Features, Segmentation
from .metadata import Metadata
from .model import Model, load

__all__ = ['Classes', 'Detections', 'Features', 'Metadata', 'Model', 'Segmentation', 'load']
