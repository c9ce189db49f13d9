"""Distillation: a network learns what a frozen teacher says of pictures without labels (docs/distillation.md)."""

from .features import FeatureDistiller
from .logits import LogitDistiller
from .pictures import UnlabelledPictures
from .settings import distil

__all__ = ['FeatureDistiller', 'LogitDistiller', 'UnlabelledPictures', 'distil']
