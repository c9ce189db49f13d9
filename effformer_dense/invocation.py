"""How the user types our commands, for messages that name one."""

from __future__ import annotations

import sys
from pathlib import Path

#: Commands whose file in ``tools/`` is not called like them.
_TOOLS = {'convert': 'convert_checkpoint'}


def command(name: str) -> str:
    """Command ``name`` in the way that this process was started.

    Args:
        name: such as 'train' or 'eval-ade20k'.

    Returns:
        ``python tools/train.py`` for one that a file in ``tools/`` started, ``python -m effformer_dense train``, or
        ``effdense train``.
    """
    started = Path(sys.argv[0])
    if started.parent.name == 'tools':
        return f'python tools/{_TOOLS.get(name, name).replace("-", "_")}.py'
    return f'python -m effformer_dense {name}' if started.name == '__main__.py' else f'effdense {name}'
