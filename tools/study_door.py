"""What tools of studies do: the whole study, or what is missing of it, from one command."""

from __future__ import annotations

import argparse
import sys
from importlib import import_module
from pathlib import Path


def run_study(name: str, about: str) -> int:
    """Run a study of ``effformer_dense.studies``, or go on with it.

    Args:
        name: of its package.
        about: help.

    Returns:
        Exit status: 2 for what its user can put right.
    """
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--out', type=Path, default=Path('work_dirs') / f'study_{name}', help='folder of the study')
    parser.add_argument('--quick', action='store_true', help='every part in minutes; the numbers mean nothing')
    parser.add_argument(
        '--jobs', type=_positive, default=None, help='processes of one thread each; one for each core if left out'
    )
    arguments = parser.parse_args()
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from effformer_dense.threads import available_cores, share_cores

    share_cores()
    from effformer_dense.allocator import keep_freed_memory
    from effformer_dense.errors import UserError

    keep_freed_memory()
    settings = import_module(f'effformer_dense.studies.{name}.settings')
    run = import_module(f'effformer_dense.studies.{name}.run').run
    try:
        chosen = settings.QUICK if arguments.quick else settings.Settings()
        run(chosen, arguments.out, arguments.jobs or available_cores())
    except UserError as error:
        print(f'Error: {error}', file=sys.stderr)
        return 2
    print(f'Results: {arguments.out / "tables.md"}, and results.json and pictures beside it')
    return 0


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number
