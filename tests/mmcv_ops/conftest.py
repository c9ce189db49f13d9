"""The stand-in and, where mmcv is compiled, its own ops: each can be put where mmcv's Python code looks for them."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from importlib.machinery import ExtensionFileLoader
from types import ModuleType

import mmcv.ops
import pytest

from effformer_dense.mmcv_ops import extension

Use = Callable[[ModuleType], None]


@pytest.fixture(scope='session')
def stand_in() -> ModuleType:
    module = ModuleType('stand_in')
    vars(module).update(extension.OPS, __getattr__=extension.missing)
    return module


@pytest.fixture(scope='session')
def compiled() -> ModuleType:
    module = importlib.import_module('mmcv._ext')
    if not isinstance(module.__spec__.loader, ExtensionFileLoader):
        pytest.skip('mmcv is not compiled here; to compare with it: MMCV=compiled make setup')
    return module


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Use:
    """Make mmcv's Python code call the ops of a module."""
    files = [importlib.import_module(info.name) for info in pkgutil.iter_modules(mmcv.ops.__path__, 'mmcv.ops.')]

    def set_ops(module: ModuleType) -> None:
        for file in files:
            if hasattr(file, 'ext_module'):
                monkeypatch.setattr(file, 'ext_module', module)

    return set_ops


@pytest.fixture
def with_stand_in(use: Use, stand_in: ModuleType) -> None:
    use(stand_in)
