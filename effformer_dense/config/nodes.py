"""Walking through a config."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def walk(node: Any, path: str = '') -> Iterator[tuple[str, dict]]:
    """Yield every dict inside a config node with its key path, outermost first."""
    if isinstance(node, dict):
        yield path, node
        for key, value in node.items():
            yield from walk(value, f'{path}.{key}' if path else str(key))
    elif isinstance(node, (list, tuple)):
        for index, value in enumerate(node):
            yield from walk(value, f'{path}.{index}')


def leaves(node: Any, path: str = '') -> Iterator[tuple[str, Any]]:
    """Yield every value inside a config node that is neither dict nor list, with its key path."""
    if isinstance(node, dict | list | tuple):
        for key, value in node.items() if isinstance(node, dict) else enumerate(node):
            yield from leaves(value, f'{path}.{key}' if path else str(key))
    else:
        yield path, node
