"""Finds ``mmcv._ext``: the compiled one where it is, the stand-in where there is none, an error where it is broken."""

from __future__ import annotations

import importlib
import importlib.abc
import logging
import multiprocessing
import os
import sys
from collections.abc import Sequence
from importlib.machinery import ExtensionFileLoader, ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

from ..errors import MissingPackageError
from .installation import SEE, compile_command, location, plain_command

NAME = 'mmcv._ext'

#: How a shared library may end, on any system and for any Python.
_LIBRARY_SUFFIXES = ('.so', '.pyd', '.dylib')

#: Where launchers tell a process its number.
_RANKS = ('RANK', 'LOCAL_RANK', 'SLURM_PROCID', 'OMPI_COMM_WORLD_RANK')


class MmcvError(MissingPackageError):
    """mmcv is installed but unusable."""


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


def check_mmcv(announce: bool = True) -> None:
    """Check that mmcv and its ops can be imported.

    Args:
        announce: say now if they stand in; otherwise :func:`log_stand_in` is to be called when there is a log.

    Raises:
        MmcvError: mmcv is missing, installed in part, or its compiled ops are for another torch or Python.
    """
    for finder in sys.meta_path:
        if isinstance(finder, _Finder):
            finder.announce = announce
    try:
        importlib.import_module('mmcv.ops')
    except MmcvError:
        raise
    except Exception as error:  # whatever a broken installation raises, that is what is wrong with it
        raise MmcvError(_import_failure(error)) from error


def is_compiled() -> bool:
    """Whether mmcv's own compiled ops are in use; raises as :func:`check_mmcv` does."""
    spec = importlib.import_module(NAME).__spec__
    return spec is not None and isinstance(spec.loader, ExtensionFileLoader)


class _Finder(importlib.abc.MetaPathFinder):
    """Finder of ``mmcv._ext`` and nothing else."""

    announce = True

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
            return ModuleSpec(NAME, _StandInLoader(self.announce), origin=str(Path(__file__).with_name('extension.py')))
        if type(spec.loader) is ExtensionFileLoader:
            spec.loader = _CompiledLoader(spec.loader.name, spec.loader.path)
        return spec


class _CompiledLoader(ExtensionFileLoader):
    """Python's extension loader, with an error that says what to do."""

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        try:
            return super().create_module(spec)
        except ImportError as error:
            raise MmcvError(_load_failure(Path(self.path), str(error)), name=NAME, path=self.path) from error


class _StandInLoader(importlib.abc.Loader):
    """Fills ``mmcv._ext`` with torchvision's ops."""

    def __init__(self, announce: bool) -> None:
        self.announce = announce

    def exec_module(self, module: ModuleType) -> None:
        _check_torchvision()
        from . import extension

        extension.fill(module)
        if self.announce:
            log_stand_in('current')


def log_stand_in(logger: logging.Logger | str) -> None:
    """Log, from the first process only, that torchvision's ops stand in, if they do."""
    module = sys.modules.get(NAME)
    first = all(os.environ.get(name, '0') == '0' for name in _RANKS) and multiprocessing.parent_process() is None
    if not first or not isinstance(getattr(module, '__loader__', None), _StandInLoader):
        return
    import torchvision
    from mmengine.logging import print_log

    print_log(
        f'mmcv has no compiled ops: those of torchvision {torchvision.__version__} stand in '
        '(docs/troubleshooting.md, "mmcv").',
        logger,
    )


def _check_torchvision() -> None:
    try:
        import torch
        import torchvision

        needs_cuda = torch.cuda.is_available() and torch.ops.torchvision._cuda_version() < 0
    except Exception as error:  # a torchvision of another torch raises RuntimeError
        raise MmcvError(
            f'mmcv has no compiled ops here, and torchvision, which would stand in, does not load ({error}). '
            'Install the torchvision that belongs to your torch, from the same index.',
            name=NAME,
        ) from error
    if needs_cuda:
        raise MmcvError(
            f'mmcv has no compiled ops here, and torchvision {torchvision.__version__}, which would stand in, is built '
            f'without CUDA beside torch {torch.__version__}. Install the torchvision that belongs to your torch, from '
            'the same index.',
            name=NAME,
        )


def _libraries(folders: Sequence[str]) -> list[Path]:
    """Compiled ops in ``folders``, for any version of Python."""
    files = (file for folder in folders for file in sorted(Path(folder).glob('_ext*')))
    return [file for file in files if file.suffix in _LIBRARY_SUFFIXES]


def _load_failure(library: Path, reason: str) -> str:
    import torch

    return (
        f"mmcv's compiled ops do not load: {library}: {reason}. They were compiled for another torch or Python "
        f"(here: torch {torch.__version__}, Python {sys.version.split()[0]}). Without them torchvision's take their "
        f'place: {plain_command()}, and delete that file if it stays. Or compile them for the torch that is here: '
        f'{compile_command()}. {SEE}'
    )


def _import_failure(error: Exception) -> str:
    where = location()
    if where is None:
        return (
            'mmcv, which detectors and segmentors are built on, is not installed. In a checkout: `make setup`; in your '
            "own environment: `pip install -e '.[onedl]'`."
        )
    return (
        f'mmcv at {where} cannot be imported ({type(error).__name__}: {error}). Reinstall it: {plain_command()}. {SEE}'
    )
