"""Evaluate a detector or segmentor on the test split of its config.

python tools/test.py configs/maskrcnn_v2_s0_shapes.py work_dirs/maskrcnn_v2_s0_shapes --show-dir pictures
python tools/test.py configs/semfpn_v2_l_ade20k.py CHECKPOINT --tta --save-segmentation-maps for_upload
python tools/test.py configs/semfpn_v2_l_ade20k.py CHECKPOINT --window-px 512
"""

import argparse
from pathlib import Path

from arguments import (
    add_config_arguments,
    add_run_arguments,
    add_speed_arguments,
    add_window_arguments,
    config_options,
    count,
    fraction,
    keep_memory_on_cpu,
    run,
)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_config_arguments(parser)
    parser.add_argument('checkpoint', type=Path, help='checkpoint, or the work dir of a training: its last one')
    add_run_arguments(parser)
    parser.add_argument('--show-dir', type=Path, help='write pictures of ground truth beside predictions there')
    parser.add_argument('--show-count', type=count, default=20, help='how many pictures (default: %(default)s)')
    parser.add_argument(
        '--score-threshold', type=fraction, default=0.5, help='lowest score of a drawn instance (default: %(default)s)'
    )
    parser.add_argument('--tta', action='store_true', help='segmentors: average over scales and flips')
    parser.add_argument(
        '--save-segmentation-maps',
        type=Path,
        metavar='DIR',
        help='segmentors: write predicted maps as PNGs, numbered as the annotations are (ADE20K: 1 to 150)',
    )
    add_window_arguments(parser)
    add_speed_arguments(parser)
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    from effformer_dense.engine.runner import EvaluationOptions, evaluate

    keep_memory_on_cpu()
    evaluation = EvaluationOptions(
        args.checkpoint,
        args.show_dir,
        args.show_count,
        args.score_threshold,
        args.save_segmentation_maps,
        args.tta,
        args.fuse,
        args.compile,
    )
    metrics = evaluate(config_options(args), evaluation)
    print('\n'.join(f'{name}: {value:.6f}' for name, value in metrics.items()))
    for what, where in (
        ('Checkpoint', args.checkpoint),
        ('Pictures', args.show_dir),
        ('Segmentation maps', args.save_segmentation_maps),
    ):
        if where:
            print(f'{what}: {where}')


if __name__ == '__main__':
    run(main)
