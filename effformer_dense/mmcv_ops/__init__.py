"""Stands in for mmcv's compiled ops where there are none.

mmdet and mmsegmentation take NMS, RoIAlign and a few more from ``mmcv._ext``, which is compiled from source for many
minutes and needs a compiler, headers and, for a GPU, the CUDA toolkit. torchvision's wheel holds the same ops
ready-made, for CPUs and GPUs: without ``mmcv._ext``, they take its place. A compiled mmcv is used as it is.
"""

from .finder import MmcvError, check_mmcv, install, is_compiled, log_stand_in

__all__ = ['MmcvError', 'check_mmcv', 'install', 'is_compiled', 'log_stand_in']
