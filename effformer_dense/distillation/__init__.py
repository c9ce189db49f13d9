"""Distillation: a backbone learns the features of a frozen teacher from pictures alone (docs/distillation.md)."""

from .features import FeatureDistiller
from .pictures import UnlabelledPictures
from .settings import distil

__all__ = ['FeatureDistiller', 'UnlabelledPictures', 'distil']
