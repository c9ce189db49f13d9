"""Run a trained detector or segmentor on pictures of your own.

python tools/infer.py CONFIG CHECKPOINT picture.jpg
python tools/infer.py CONFIG CHECKPOINT folder --out-dir results
python tools/infer.py CONFIG CHECKPOINT 'folder/**/*_left.png'

Detectors write annotated pictures and predictions.json in COCO format; segmentors write pictures with their colours
(pictures/), colours with a legend (colour_maps/) and segmentation maps (segmentation_maps/), numbered as the
annotations are.
"""

import argparse
from pathlib import Path

from arguments import (
    add_config_arguments,
    add_speed_arguments,
    add_window_arguments,
    config_options,
    fraction,
    keep_memory_on_cpu,
    run,
)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_config_arguments(parser)
    parser.add_argument('checkpoint', type=Path, help='checkpoint, or the work dir of a training: its last one')
    parser.add_argument('pictures', help='a picture, a folder, or a glob pattern in quotes')
    parser.add_argument('--out-dir', type=Path, default=Path('outputs'), help='default: %(default)s')
    parser.add_argument(
        '--score-threshold', type=fraction, default=0.5, help='lowest score of a drawn instance (default: %(default)s)'
    )
    parser.add_argument('--device', help='torch device (default: a GPU if there is one)')
    add_window_arguments(parser)
    add_speed_arguments(parser)
    parser.add_argument('--skip-bad', action='store_true', help='leave out pictures that cannot be used')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    from effformer_dense.engine.infer import InferOptions, infer

    keep_memory_on_cpu()
    options = InferOptions(
        args.checkpoint,
        args.pictures,
        args.out_dir,
        args.score_threshold,
        args.device,
        args.skip_bad,
        args.fuse,
        args.compile,
    )
    out_dir = infer(config_options(args), options)
    print(f'Results: {out_dir}')


if __name__ == '__main__':
    run(main)
