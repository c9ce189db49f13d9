"""What a config file says itself, without the files that it builds on."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mmengine

from ..errors import UserError

#: Keys from the top of a config down, without indices of lists: ('model', 'roi_head', 'bbox_head', 'num_classes').
KeyPath = tuple[str, ...]


def own_keys(path: Path) -> set[KeyPath]:
    """Keys that are set in the text of a config file, whatever its bases set.

    Python configs are read, not run: calls of ``dict``, literals, names that stand for them, and changes of what a base
    brought (``model.head.num_classes = 3``, ``model.update(...)``) are followed.

    Raises:
        UserError: it is no file of Python, JSON or YAML.
    """
    if path.suffix != '.py':
        return set(_keys_of_data(mmengine.load(path), ()))
    try:
        tree = ast.parse(path.read_text(encoding='utf-8'))
    except (SyntaxError, ValueError) as error:
        raise UserError(f'Config {path} cannot be read: {error}') from error
    return set(_keys_of_module(tree))


def _keys_of_data(data: Any, place: KeyPath) -> Iterator[KeyPath]:
    if isinstance(data, dict):
        for key, value in data.items():
            yield from _keys_of_data(value, (*place, str(key)))
    elif isinstance(data, list):
        for value in data:
            yield from _keys_of_data(value, place)
    else:
        yield place


def _keys_of_module(tree: ast.Module) -> Iterator[KeyPath]:
    names: dict[str, ast.expr] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            targets, value = node.targets, node.value
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == 'update':
            targets, value = [node.func.value], ast.Call(ast.Name('dict'), node.args, node.keywords)
        else:
            continue
        for target in targets:
            place = _place(target)
            if place:
                yield from _keys_of_expression(value, place, names)
            if isinstance(target, ast.Name):
                names[target.id] = value


def _place(target: ast.expr) -> KeyPath:
    """Keys that an attribute or an item stands for; none for what is computed."""
    if isinstance(target, ast.Name):
        return (target.id,)
    if isinstance(target, ast.Attribute):
        above = _place(target.value)
        return (*above[above == ('_base_',) :], target.attr) if above else ()  # _base_.model is the model
    if isinstance(target, ast.Subscript):
        above = _place(target.value)
        key = target.slice.value if isinstance(target.slice, ast.Constant) else None
        return (*above, key) if above and isinstance(key, str) else above
    return ()


def _keys_of_expression(node: ast.expr, place: KeyPath, names: dict[str, ast.expr]) -> Iterator[KeyPath]:
    """Keys below ``place`` that an expression sets; ``place`` itself if it is no dict."""
    if isinstance(node, ast.Name) and node.id in names:
        others = {name: value for name, value in names.items() if name != node.id}  # a name may stand for itself
        yield from _keys_of_expression(names[node.id], place, others)
        return
    parts: list[tuple[str | None, ast.expr]] = []
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == 'dict':
        parts = [(None, argument) for argument in node.args] + [(word.arg, word.value) for word in node.keywords]
    elif isinstance(node, ast.Dict):
        keys = [str(key.value) if isinstance(key, ast.Constant) else None for key in node.keys]
        parts = list(zip(keys, node.values, strict=True))
    elif isinstance(node, (ast.List, ast.Tuple)):
        parts = [(None, element) for element in node.elts]
    elif isinstance(node, ast.ListComp):
        parts = [(None, node.elt)]
    elif isinstance(node, ast.BinOp):  # one dict | another, [one] * 3
        parts = [(None, node.left), (None, node.right)]
    if not parts:
        yield place
    for key, value in parts:
        yield from _keys_of_expression(value, place if key is None else (*place, key), names)
