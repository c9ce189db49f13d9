"""Study of how attention biases reach other sizes: data, training, evaluation, tables and plots, from one command.

    python tools/study_resolution.py --out work_dirs/resolution

Does what is not there yet: the same command goes on after an interruption. ``--quick`` tries every part in minutes. The
question, the method and the rule of decision are in effformer_dense/studies/resolution.py.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def main() -> int:
    """Run the study, or go on with it; 2 for what its user can put right."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--out', type=Path, default=Path('work_dirs/resolution'), help='folder of the study')
    parser.add_argument('--quick', action='store_true', help='every part in minutes; the numbers mean nothing')
    parser.add_argument(
        '--jobs', type=_positive, default=None, help='processes of one thread each; one for each core if left out'
    )
    arguments = parser.parse_args()
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from effformer_dense.threads import available_cores, share_cores

    share_cores()
    from effformer_dense.errors import UserError
    from effformer_dense.studies.resolution import QUICK, Settings
    from effformer_dense.studies.run import run

    try:
        run(QUICK if arguments.quick else Settings(), arguments.out, arguments.jobs or available_cores())
    except UserError as error:
        print(f'Error: {error}', file=sys.stderr)
        return 2
    return 0


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


if __name__ == '__main__':
    sys.exit(main())
