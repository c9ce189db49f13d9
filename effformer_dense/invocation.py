"""How the user types our commands, for messages that name one."""

from __future__ import annotations

import shlex
import sys
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

#: Commands whose file in ``tools/`` is not called like them.
_TOOLS = {'convert': 'convert_checkpoint'}


def command(name: str) -> str:
    """Command ``name`` in the way that this process was started.

    Args:
        name: such as 'train' or 'eval-ade20k'.

    Returns:
        ``python tools/train.py`` for one that a file in ``tools/`` started, with the path to it as it was typed;
        ``python -m effformer_dense train``, or ``effdense train``.
    """
    started = Path(sys.argv[0])
    if started.parent.name == 'tools':
        file = f'{_TOOLS.get(name, name)}.py'.replace('-', '_')
        return f'python {spelled(started.with_name(file))}'
    return f'python -m effformer_dense {name}' if started.name == '__main__.py' else f'effdense {name}'


def typed(name: str) -> str:
    """The whole line by which command ``name`` was started, for files that say how they were made."""
    arguments = sys.argv[2:] if sys.argv[1:2] == [name] else sys.argv[1:]
    return f'{command(name)} {shlex.join(arguments)}'


def spelled(value: Any) -> str:
    """A value as it is typed in a shell; for a dataclass of options, those that differ from their defaults.

    The first field of such a class is the argument that has no name.

    >>> spelled(Path('my runs'))
    "'my runs'"
    """
    if not hasattr(value, '__dataclass_fields__'):
        return shlex.quote(str(value))
    first = fields(value)[0]
    return ' '.join([spelled(getattr(value, first.name)), *flags(value, first.name)])


def flags(options: Any, *without: str) -> list[str]:
    """Options of a dataclass that differ from their defaults, as they are typed in a shell.

    Args:
        options: a dataclass.
        without: names of fields that are left out.
    """
    words = []
    for field in fields(options):
        content = getattr(options, field.name)
        if field.name not in without and (field.default is MISSING or content != field.default):
            name = '--' + field.name.replace('_', '-')
            values = content if isinstance(content, (list, tuple)) else () if content is True else (content,)
            words.append(' '.join([name, *map(spelled, values)]))
    return words
