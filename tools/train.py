"""Train a detector or segmentor.

python tools/train.py                                        the embedded default: synthetic shapes, on a CPU
python tools/train.py configs/maskrcnn_v2_l_coco.py          needs COCO and, once, network for ImageNet weights
torchrun --nproc_per_node=8 tools/train.py CONFIG --launcher pytorch
"""

import argparse
from pathlib import Path

from arguments import add_config_arguments, add_run_arguments, config_options, keep_memory_on_cpu, run

DEFAULT_CONFIG = Path(__file__).resolve().parents[1] / 'configs' / 'maskrcnn_v2_s0_shapes.py'


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_config_arguments(parser, DEFAULT_CONFIG)
    add_run_arguments(parser)
    parser.add_argument('--auto-scale-lr', action='store_true', help='scale the learning rate with GPUs x batch size')
    parser.add_argument('--from-scratch', action='store_true', help='no pretrained weights')
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='CHECKPOINT',
        help='go on from a checkpoint (default: the last one in the work dir)',
    )
    args = parser.parse_args()
    if args.resume and args.resume.endswith('.py'):
        parser.error(f'--resume takes a checkpoint; {args.resume} is a config. Name the config before --resume.')
    return args


def main() -> None:
    args = parse_args()
    from effformer_dense.engine.runner import train

    keep_memory_on_cpu()
    work_dir = train(config_options(args), args.resume)
    print(f'Checkpoints and logs: {work_dir}')
    print(f'Evaluate and draw:    python tools/test.py {args.config} {work_dir} --show-dir {work_dir}/pictures')


if __name__ == '__main__':
    run(main)
