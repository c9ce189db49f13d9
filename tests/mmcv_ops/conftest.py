"""The stand-in and, where mmcv is compiled, its own ops: each can be put where mmcv's Python code looks for them."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import mmcv.ops
import pytest

from effformer_dense.mmcv_ops import extension, is_compiled

from .interpreter import OPS

Use = Callable[[ModuleType], None]


@pytest.fixture(scope='session')
def stand_in() -> ModuleType:
    module = ModuleType('stand_in')
    extension.fill(module)
    return module


@pytest.fixture(scope='session')
def compiled() -> ModuleType:
    if not is_compiled():
        pytest.skip('mmcv is not compiled here; to compare with it: MMCV=compiled make setup')
    return importlib.import_module('mmcv._ext')


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


@pytest.fixture
def fake_mmcv(tmp_path: Path) -> Path:
    """An mmcv without compiled ops, before the real one on the path."""
    package = tmp_path / 'mmcv'
    package.mkdir()
    (package / '__init__.py').touch()
    (package / 'ops.py').write_text(OPS)
    return package
