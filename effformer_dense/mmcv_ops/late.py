"""Modules that were imported before the stand-in was in place.

mmdet and mmsegmentation guard their imports: where ``from mmcv.ops import nms`` fails, ``nms`` becomes None or a
function that raises, for as long as the process lives. Whoever imports ``mmdet.apis`` first and names this package in
a config's ``custom_imports`` has such modules. Their guarded imports are done again here.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import logging
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any, NamedTuple

#: Packages whose modules guard their imports of mmcv's ops, and of each other.
_GUARDING = ('mmcv', 'mmdet', 'mmseg')
_GUARDED = ('mmcv', 'mmdet')


class _GuardedImport(NamedTuple):
    """``try: from module import name as bound``."""

    module: str
    name: str
    bound: str


def supply_imported() -> None:
    """Replace the fallbacks of modules that were imported without mmcv's ops."""
    wanting = [(module, imports) for module in _modules().values() if (imports := _guarded_imports(module))]
    if not wanting:
        return
    try:
        importlib.import_module('mmcv.ops')
    except Exception as error:  # importing this package does not fail for it; whoever needs the ops will see it again
        _warn(str(error))
        return
    for module, imports in wanting:
        for item in imports:
            _redo(module, item)
    _complete_packages()


def _modules() -> dict[str, ModuleType]:
    """Modules of the frameworks that have been imported."""
    modules = list(sys.modules.items())
    return {name: module for name, module in modules if name.partition('.')[0] in _GUARDING and module is not None}


def _warn(text: str) -> None:
    from mmengine.logging import print_log

    print_log(text, 'current', logging.WARNING)


def _imported(name: str) -> ModuleType | None:
    """A module of the frameworks, which may not have been reached before; None if it cannot be imported."""
    try:
        return importlib.import_module(name)
    except ImportError:  # something of its own is missing
        return None
    except Exception as error:
        _warn(f'{name} cannot be imported: {error}')
        return None


def _guarded_imports(module: ModuleType) -> list[_GuardedImport]:
    try:
        source = inspect.getsource(module)
    except (OSError, TypeError):  # no file, or not of Python
        return []
    return list(_in_source(source)) if 'try:' in source else []


def _in_source(source: str) -> Iterator[_GuardedImport]:
    for block in ast.parse(source).body:
        for statement in block.body if isinstance(block, ast.Try) else ():
            if not isinstance(statement, ast.ImportFrom) or statement.level or not statement.module:
                continue
            if statement.module.partition('.')[0] in _GUARDED:
                for alias in statement.names:
                    yield _GuardedImport(statement.module, alias.name, alias.asname or alias.name)


def _redo(module: ModuleType, item: _GuardedImport) -> None:
    """Repeat one import and replace its fallback, as a name and as a base class."""
    source = _imported(item.module)
    if source is None or not hasattr(source, item.name):
        return
    result, fallback = getattr(source, item.name), vars(module).get(item.bound)
    if fallback is result:
        return
    setattr(module, item.bound, result)
    own = getattr(fallback, '__module__', None) == module.__name__
    if isinstance(fallback, type):
        heirs = fallback.__subclasses__() if own else _classes_of(module, fallback)
        for heir in heirs:
            heir.__bases__ = tuple(result if base is fallback else base for base in heir.__bases__)
    if own:
        _replace_exports(fallback, result)


def _complete_packages() -> None:
    """Import packages again that failed half-way, and make the modules attributes of them that had been imported."""
    for name, module in _modules().items():
        parent, _, child = name.rpartition('.')
        package = _imported(parent) if parent else None
        if package is not None and not hasattr(package, child):
            setattr(package, child, module)


def _classes_of(module: ModuleType, base: type) -> list[type]:
    """Classes defined in ``module`` right on ``base``."""
    classes = (value for value in vars(module).values() if isinstance(value, type))
    return [value for value in classes if value.__module__ == module.__name__ and base in value.__bases__]


def _replace_exports(fallback: Any, result: Any) -> None:
    """``fallback`` may have been imported from where it was defined into other modules."""
    for module in _modules().values():
        for bound in [bound for bound, value in vars(module).items() if value is fallback]:
            setattr(module, bound, result)
