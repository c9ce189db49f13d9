"""Acting as soon as somebody imports a certain module, without importing it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType


def after_import(name: str, act: Callable[[], None]) -> None:
    """Call ``act`` when module ``name`` is imported: now if it is, otherwise right after it has been executed.

    Args:
        name: of a top-level module, which need not be installed.
        act: called until it has not raised an error, which whoever imports the module gets to see.
    """
    if sys.modules.get(name) is not None:
        act()
    else:
        sys.meta_path.insert(0, _Watch(name, act))


class _Watch(MetaPathFinder):
    """Lets the other finders find the module, and its own loader load it."""

    def __init__(self, name: str, act: Callable[[], None]) -> None:
        self.name, self.act = name, act

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != self.name:
            return None
        others = [finder for finder in sys.meta_path if finder is not self]
        spec = next(filter(None, (finder.find_spec(fullname, path, target) for finder in others)), None)
        if spec is not None and spec.loader is not None:
            self._follow(spec.loader)
        return spec

    def _follow(self, loader: Loader) -> None:
        """Act after ``loader`` has executed the module. It stays the module's loader, with nothing left on it."""
        execute = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            del loader.exec_module
            execute(module)
            if self in sys.meta_path:
                self.act()
                sys.meta_path.remove(self)

        loader.exec_module = exec_module  # type: ignore[method-assign]
