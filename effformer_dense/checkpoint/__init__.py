"""Reading and converting weights: file layouts, reports of what was loaded, names of the hub.

Importing it teaches the backbones the layouts and reading that runs nothing, and MMEngine the names.
"""

from ..backbones.base import DenseBackbone
from ..backbones.timm_features import TimmFeatures
from ..backbones.weights import TakesWeights
from .adapter import adapt_state_dict, match
from .convert import Conversion, convert, convert_file
from .hub import fetch_huggingface, fetch_timm
from .layouts import Layout, backbone_prefixes, detect_layout, from_native, identify_variant, to_native
from .loaders import register_names, safe_loaders, use_safe_loaders
from .read import read_file
from .report import LoadReport, load_report
from .timm_adapter import adapt_timm
from .unwrap import find_backbone, take, weights_in

DenseBackbone.state_dict_adapter = staticmethod(adapt_state_dict)
TimmFeatures.state_dict_adapter = staticmethod(adapt_timm)
TakesWeights.reading = staticmethod(safe_loaders)
register_names()

__all__ = [
    'Conversion',
    'Layout',
    'LoadReport',
    'adapt_state_dict',
    'backbone_prefixes',
    'convert',
    'convert_file',
    'detect_layout',
    'fetch_huggingface',
    'fetch_timm',
    'find_backbone',
    'from_native',
    'identify_variant',
    'load_report',
    'match',
    'read_file',
    'safe_loaders',
    'take',
    'to_native',
    'use_safe_loaders',
    'weights_in',
]
