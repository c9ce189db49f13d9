"""Finds ``mmcv._ext``: the compiled one where it is, the stand-in where there is none, an error where it is broken."""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.util
import os
import sys
from collections.abc import Sequence
from importlib.machinery import ExtensionFileLoader, ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

NAME = 'mmcv._ext'

#: How a shared library may end, on any system and for any Python.
_LIBRARY_SUFFIXES = ('.so', '.pyd', '.dylib')

_COMPILE = (
    '`pip install --force-reinstall --no-deps --no-cache-dir --no-build-isolation onedl-mmcv` (in a checkout: '
    '`MMCV=compiled make setup`)'
)
_SEE = 'See "mmcv" in docs/troubleshooting.md.'


class MmcvError(ImportError):
    """mmcv is there, but not in a state to be used."""


def install() -> None:
    """Make ``import mmcv._ext`` find the stand-in where mmcv has no compiled ops.

    Does nothing more than that where mmcv is compiled, and imports nothing where it is not installed. Modules of mmdet
    and mmsegmentation that were imported before, and made do without ops, get them now.
    """
    if any(isinstance(finder, _Finder) for finder in sys.meta_path):
        return
    sys.meta_path.insert(0, _Finder())
    if NAME not in sys.modules:
        from .late import supply_imported

        supply_imported()


def check_mmcv() -> None:
    """mmcv and its ops can be imported.

    Raises:
        MmcvError: mmcv is missing, installed in part, or its compiled ops are for another torch or Python.
    """
    try:
        importlib.import_module('mmcv.ops')
    except MmcvError:
        raise
    except Exception as error:  # whatever a broken installation raises, that is what is wrong with it
        raise MmcvError(_import_failure(error)) from error


class _Finder(importlib.abc.MetaPathFinder):
    """Answers for ``mmcv._ext`` alone."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != NAME:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is None:
            foreign = _libraries(path or ())
            if foreign:
                raise MmcvError(_load_failure(foreign[0], f'it is not for {sys.implementation.cache_tag}'), name=NAME)
            return ModuleSpec(NAME, _StandInLoader(), origin=str(Path(__file__).with_name('extension.py')))
        if type(spec.loader) is ExtensionFileLoader:
            spec.loader = _CompiledLoader(spec.loader.name, spec.loader.path)
        return spec


class _CompiledLoader(ExtensionFileLoader):
    """Python's own loader, with an error that says what to do."""

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        try:
            return super().create_module(spec)
        except ImportError as error:
            raise MmcvError(_load_failure(Path(self.path), str(error)), name=NAME, path=self.path) from error


class _StandInLoader(importlib.abc.Loader):
    def exec_module(self, module: ModuleType) -> None:
        try:
            import torchvision
        except Exception as error:  # a torchvision of another torch raises RuntimeError
            raise MmcvError(
                f'mmcv has no compiled ops here, and torchvision, which would stand in, does not load ({error}). '
                'Install the torchvision that belongs to your torch, from the same index.',
                name=NAME,
            ) from error
        from . import extension

        vars(module).update(extension.OPS, __getattr__=extension.missing)
        if os.environ.get('LOCAL_RANK', '0') == '0':
            from mmengine.logging import print_log

            print_log(
                f'mmcv has no compiled ops: those of torchvision {torchvision.__version__} stand in '
                '(docs/troubleshooting.md, "mmcv").',
                'current',
            )


def _libraries(folders: Sequence[str]) -> list[Path]:
    """Compiled ops in ``folders``, for whichever Python."""
    files = (file for folder in folders for file in sorted(Path(folder).glob('_ext*')))
    return [file for file in files if file.suffix in _LIBRARY_SUFFIXES]


def _load_failure(library: Path, reason: str) -> str:
    import torch

    return (
        f"mmcv's compiled ops do not load: {library}: {reason}. They were compiled for another torch or Python "
        f"(here: torch {torch.__version__}, Python {sys.version.split()[0]}). Delete that file, and torchvision's ops "
        f'take their place; or compile them for the torch that is here: {_COMPILE}. {_SEE}'
    )


def _import_failure(error: Exception) -> str:
    spec = importlib.util.find_spec('mmcv')
    if spec is None:
        return (
            'mmcv is not installed, which detectors and segmentors are made of. In a checkout: `make setup`; in your '
            "own environment: `pip install -e '.[onedl]'`."
        )
    where = spec.origin or ', '.join(spec.submodule_search_locations or ())
    return (
        f'mmcv at {where} cannot be imported ({type(error).__name__}: {error}). Install it anew: `pip install '
        f'--force-reinstall --no-deps --no-cache-dir onedl-mmcv` (in a checkout: `rm -rf .venv && make setup`). {_SEE}'
    )
