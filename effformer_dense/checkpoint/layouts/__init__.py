"""Layouts of published weights: one file for each, a table of names that serves both ways."""

from .known import (
    backbone_prefixes,
    detect_layout,
    detect_naming,
    from_native,
    from_native_with_rest,
    naming_of,
    to_native,
)
from .native import identify_variant
from .table import Layout, Naming

__all__ = [
    'Layout',
    'Naming',
    'backbone_prefixes',
    'detect_layout',
    'detect_naming',
    'from_native',
    'from_native_with_rest',
    'identify_variant',
    'naming_of',
    'to_native',
]
