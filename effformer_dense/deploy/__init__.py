"""Making trained models fit for use: :func:`fuse`."""

from .fuse import fuse

__all__ = ['fuse']
