"""The ablation of EfficientFormer V2, rebuilt: parameters, operations and times of each step beside the quoted ones.

    python tools/study_ablation.py
    python tools/study_ablation.py --size 800 1344 --threads 2

Steps and their sources are in effformer_dense/studies/ablation.py, networks in configs/ablation.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def main() -> int:
    """Measure, print and write the table; 2 for what its user can put right."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--size', type=int, nargs=2, default=(224, 224), metavar=('HEIGHT', 'WIDTH'), help='px')
    parser.add_argument('--threads', type=int, default=1, help='of the CPU')
    parser.add_argument('--rounds', type=int, default=10, help='in each, every step is timed once')
    parser.add_argument('--out-dir', type=Path, default=Path('work_dirs/ablation'), help='for ablation.md')
    arguments = parser.parse_args()
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from effformer_dense.errors import UserError
    from effformer_dense.options import BenchmarkOptions
    from effformer_dense.studies.ablation import run

    try:
        measuring = BenchmarkOptions(threads=(arguments.threads,), rounds=arguments.rounds)
        run(tuple(arguments.size), measuring, arguments.out_dir, print)
    except UserError as error:
        print(f'Error: {error}', file=sys.stderr)
        return 2
    print((arguments.out_dir / 'ablation.md').read_text())
    return 0


if __name__ == '__main__':
    sys.exit(main())
