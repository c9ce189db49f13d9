"""Reading weights: file layouts, reports of what was loaded, and the ``timm://`` scheme.

Importing it teaches the backbones the layouts and MMEngine the scheme.
"""

from ..backbones.base import DenseBackbone
from .adapter import adapt_state_dict
from .layouts import Layout, detect_layout, identify_variant, to_native
from .report import LoadReport, load_report
from .timm_hub import fetch, register_scheme

DenseBackbone.state_dict_adapter = staticmethod(adapt_state_dict)
register_scheme()

__all__ = [
    'Layout',
    'LoadReport',
    'adapt_state_dict',
    'detect_layout',
    'fetch',
    'identify_variant',
    'load_report',
    'to_native',
]
