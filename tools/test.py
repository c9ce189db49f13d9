"""Evaluate a detector or segmentor on the test split of its config.

python tools/test.py configs/maskrcnn_v2_s0_shapes.py work_dirs/maskrcnn_v2_s0_shapes --show-dir pictures
"""

import argparse
from pathlib import Path

from arguments import add_config_arguments, add_run_arguments, config_options, run


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_config_arguments(parser)
    parser.add_argument('checkpoint', type=Path, help='checkpoint, or the work dir of a training: its last one')
    add_run_arguments(parser)
    parser.add_argument('--show-dir', type=Path, help='write pictures of ground truth beside predictions there')
    parser.add_argument('--show-count', type=int, default=20, help='how many pictures (default: %(default)s)')
    parser.add_argument(
        '--score-threshold', type=float, default=0.5, help='lowest score of a drawn instance (default: %(default)s)'
    )
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    from effformer_dense.engine.runner import EvaluationOptions, evaluate

    options = config_options(args)
    metrics = evaluate(
        options, EvaluationOptions(args.checkpoint, args.show_dir, args.show_count, args.score_threshold)
    )
    print('\n'.join(f'{name}: {value:.4f}' for name, value in metrics.items()))
    print(f'Checkpoint: {args.checkpoint}')
    if args.show_dir:
        print(f'Pictures:   {args.show_dir}')


if __name__ == '__main__':
    run(main)
