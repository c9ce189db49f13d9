"""Registry lookups of names in a config."""

from __future__ import annotations

import inspect
from typing import Any

from mmengine.registry import Registry


def find_component(registry: Registry, name: object) -> type | None:
    """Look up the class registered under ``name`` in the default scope; None if there is none."""
    if inspect.isclass(name):
        return name
    if not isinstance(name, str):
        return None
    with registry.switch_scope_and_registry(None) as scoped:
        found = scoped.get(name)
    return found if inspect.isclass(found) else None


def argument(cls: type | None, node: dict, name: str, default: Any) -> Any:
    """Value of argument ``name``: from ``node``, else the constructor's default, else ``default``."""
    if name in node:
        return node[name]
    for base in getattr(cls, '__mro__', ()):
        parameter = inspect.signature(base.__init__).parameters.get(name) if '__init__' in vars(base) else None
        if parameter is not None and parameter.default is not inspect.Parameter.empty:
            return parameter.default
    return default
