"""The published code of the papers, measured where somebody has it: its detection backbones, from a checkout."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ..errors import UserError
from ..variants import V1, V2

if TYPE_CHECKING:
    from torch import nn

    from ..variants import Variant

#: By family: file in https://github.com/snap-research/EfficientFormer, and what its classes begin with.
PUBLISHED_FILES = {
    V1: ('detection/backbone.py', 'efficientformer_'),
    V2: ('detection/backbonev2.py', 'efficientformerv2_'),
}


def check_published(checkout: Path | None) -> None:
    """Raises ``UserError`` for a checkout that is not named or lacks the backbones."""
    if checkout is None:
        raise UserError(
            '--modes published needs --published FOLDER, a checkout of https://github.com/snap-research/EfficientFormer'
        )
    for name, _ in PUBLISHED_FILES.values():
        if not (checkout / name).is_file():
            raise UserError(f'--published {checkout}: {name} is not there. Is it a checkout of EfficientFormer?')


def published_backbone(checkout: Path, row: Variant) -> nn.Module:
    """Build a published backbone as its COCO configs do, at random weights.

    Its files are run. They ask for parts of mmdet 2 and mmcv 1 that they need for loading and registering alone, which
    stand-ins give them while the file is read.

    Raises:
        UserError: the file cannot be run, or has no such class.
    """
    name, prefix = PUBLISHED_FILES[row.family]
    stand_ins = _stand_ins()
    before = {key: sys.modules.get(key) for key in stand_ins}
    spec = importlib.util.spec_from_file_location('published_backbone', checkout / name)
    assert spec is not None and spec.loader is not None, 'a Python file has a loader'
    module = importlib.util.module_from_spec(spec)
    sys.modules.update(stand_ins)
    try:
        spec.loader.exec_module(module)
        return getattr(module, f'{prefix}{row.arch}_feat')()
    except Exception as error:
        raise UserError(f'{checkout / name} cannot be run: {type(error).__name__}: {error}') from error
    finally:
        for key, value in before.items():
            if value is None:
                del sys.modules[key]
            else:
                sys.modules[key] = value


def _stand_ins() -> dict[str, ModuleType]:
    class Registry:
        @staticmethod
        def register_module() -> Any:
            return lambda cls: cls

    contents: dict[str, dict[str, Any]] = {
        'mmdet': {},
        'mmdet.models': {},
        'mmdet.models.builder': dict(BACKBONES=Registry),
        'mmdet.utils': dict(get_root_logger=None),
        'mmcv': {},
        'mmcv.runner': dict(_load_checkpoint=None),
    }
    modules = {}
    for name, values in contents.items():
        modules[name] = ModuleType(name)
        vars(modules[name]).update(values)
    return modules
