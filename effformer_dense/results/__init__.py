"""What networks predict: the same objects from PyTorch and from exported files. Needs NumPy and Pillow only."""

from .classes import Classes
from .detections import Detections
from .features import Features
from .result import Result
from .segmentation import Segmentation

__all__ = ['Classes', 'Detections', 'Features', 'Result', 'Segmentation']
