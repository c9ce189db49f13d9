"""EfficientFormer, and its neighbours, as backbones for detection and segmentation.

Importing the package loads neither torch nor MMEngine. Its names are looked up when they are first asked for
(PEP 562), so that what needs neither of the two, such as :mod:`.variants`, can be imported where they are missing.

For MMEngine the import is all it takes, be it a statement or ``custom_imports = dict(imports=['effformer_dense'])`` in
a config: once both packages are imported, in whichever order, the backbones are in the root registry ``MODELS``, and
``timm://`` and ``hf://`` name checkpoints. If MMEngine is there already, that happens at once; otherwise right after
it is imported (:mod:`.import_hook`), for nobody can name a backbone in a config before. Nothing else of MMEngine
changes; :func:`use_safe_loaders` makes it read all checkpoints as the backbones read theirs.

Where mmcv is not compiled, torchvision's ops stand in (:mod:`.mmcv_ops`); they too are loaded when they are asked for.
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import TYPE_CHECKING

from . import mmcv_ops
from .import_hook import after_import
from .version import __version__

if TYPE_CHECKING:
    from . import checkpoint
    from .backbones import EdgeViT, EfficientFormerV1, EfficientFormerV2, TimmFeatures
    from .checkpoint import use_safe_loaders

__all__ = [
    'EdgeViT',
    'EfficientFormerV1',
    'EfficientFormerV2',
    'TimmFeatures',
    '__version__',
    'checkpoint',
    'mmcv_ops',
    'use_safe_loaders',
]

#: Names of the face that are looked up late, and where they are; a submodule is its own place.
_LAZY = {
    'EdgeViT': '.backbones',
    'EfficientFormerV1': '.backbones',
    'EfficientFormerV2': '.backbones',
    'TimmFeatures': '.backbones',
    'checkpoint': '.checkpoint',
    'use_safe_loaders': '.checkpoint',
}


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    module = importlib.import_module(_LAZY[name], __name__)
    return module if _LAZY[name] == f'.{name}' else getattr(module, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _register() -> None:
    """Put the backbones and the names of checkpoints into MMEngine, which importing their modules does."""
    if importlib.util.find_spec('torch') is not None:  # MMEngine can be there without
        from . import backbones, checkpoint  # noqa: F401


mmcv_ops.install()
after_import('mmengine', _register)
