"""What every tool does: the same as ``effdense`` followed by the name of the command."""

from __future__ import annotations

import sys


def run(command: str) -> None:
    """Run a command of the package with the arguments of this process."""
    try:
        from effformer_dense.commands.cli import main
    except ModuleNotFoundError as error:
        if error.name not in ('effformer_dense', 'tyro'):
            raise
        sys.exit(f'{sys.executable} has no {error.name}. Set up with make setup, then: source .venv/bin/activate')
    main(command)
