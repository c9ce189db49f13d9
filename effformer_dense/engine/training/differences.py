"""How two configs differ, read as text: nothing that a checkpoint holds is executed."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

#: Where a run writes and what its weights start from are not what it is.
_OF_A_START = frozenset({'work_dir', 'load_from', 'resume', 'launcher', 'init_cfg'})
#: What MMEngine takes from a checkpoint, whatever the config says.
_OF_THE_CHECKPOINT = ('optim_wrapper.optimizer.', 'param_scheduler.')
_ABSENT = '(not there)'
_LONGEST_TEXT = 4_000_000  # characters


def config_differences(before: str, now: str) -> list[str]:
    """Entries of two configs that differ.

    Args:
        before: text of a config as MMEngine writes it into checkpoints.
        now: the same of another.

    Returns:
        Lines such as ``optim_wrapper.optimizer.lr: 0.1, now 0.2``.
    """
    if len(before) > _LONGEST_TEXT:
        return [f'the config in the checkpoint has {len(before):,} characters and was not compared']
    try:
        old, new = flat_entries(before), flat_entries(now)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ['the config in the checkpoint is none that can be compared']
    keys = [key for key in {**new, **old} if _OF_A_START.isdisjoint(key.split('.'))]
    return [
        f'{key}: {old.get(key, _ABSENT)}, now {new.get(key, _ABSENT)}{_effect(key)}'
        for key in keys
        if old.get(key) != new.get(key)
    ]


def _effect(key: str) -> str:
    return ', without effect: the checkpoint brings it' if key.startswith(_OF_THE_CHECKPOINT) else ''


def flat_entries(text: str) -> dict[str, str]:
    """Entries of a config by their place, values as they are written.

    >>> flat_entries("a = dict(b=[1, dict(c='x')])")
    {'a.b.0': '1', 'a.b.1.c': "'x'"}

    Raises:
        SyntaxError, ValueError, RecursionError, MemoryError: it is no Python, or nested without end.
    """
    flat: dict[str, str] = {}
    for statement in ast.parse(text).body:
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            _flatten(statement.targets[0].id, statement.value, flat)
    return flat


def _flatten(place: str, node: ast.expr, flat: dict[str, str]) -> None:
    children = _children(node)
    if not children:
        flat[place] = ast.unparse(node)
    for key, child in children.items():
        _flatten(f'{place}.{key}', child, flat)


def _children(node: ast.expr) -> Mapping[Any, ast.expr]:
    """What a dict or list holds that itself holds dicts; empty for values, lists of which are easier read in one."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == 'dict' and not node.args:
        return {keyword.arg: keyword.value for keyword in node.keywords}
    if isinstance(node, ast.Dict):
        return {ast.unparse(key) if key else '**': value for key, value in zip(node.keys, node.values, strict=True)}
    if isinstance(node, (ast.List, ast.Tuple)) and any(_children(element) for element in node.elts):
        return dict(enumerate(node.elts))
    return {}
