"""Convert a checkpoint between layouts: this project's, timm's, the published code's.

mmpretrain's and Hugging Face's are read too.

python tools/convert_checkpoint.py eformer_s0_450.pth s0.safetensors
python tools/convert_checkpoint.py work_dirs/mine/epoch_12.pth backbone.safetensors --to timm
python tools/convert_checkpoint.py published_mask_rcnn.pth clean.pth

The file is read without running what may be in it; a pickle that wants to run something is refused, unless --trust.
"""

import argparse
from pathlib import Path

from arguments import run


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('source', type=Path, metavar='IN', help='.pth, .pt, .bin or .safetensors, of any layout')
    parser.add_argument('destination', type=Path, metavar='OUT', help='.pth or .safetensors')
    parser.add_argument(
        '--to',
        choices=['effformer_dense', 'timm', 'official'],
        default='effformer_dense',
        help='layout of OUT; official is that of the published ImageNet checkpoints (default: %(default)s)',
    )
    parser.add_argument('--prefix', help='where the backbone is in IN, if it holds several, e.g. student.backbone.')
    parser.add_argument(
        '--trust', action='store_true', help='let IN run code while it is read: only if you trust who made it'
    )
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    from effformer_dense.checkpoint import Layout, convert_file

    conversion = convert_file(args.source, args.destination, Layout(args.to), args.prefix, args.trust)
    print(conversion.summary())
    print(f'Written: {args.destination}')


if __name__ == '__main__':
    run(main)
