"""Check a folder of COCO or ADE20K and link it to where the configs look; or learn how to download it.

python tools/prepare_data.py ade20k                        is it there? if not, how to get it
python tools/prepare_data.py ade20k /disk/ADEChallengeData2016
python tools/prepare_data.py coco /disk/coco --no-link
"""

import argparse
from pathlib import Path

from arguments import run


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('name', choices=['coco', 'ade20k'], help='data set')
    parser.add_argument('folder', type=Path, nargs='?', help='where it is (default: where the configs look)')
    parser.add_argument(
        '--partial',
        action='store_true',
        help='accept one split, or fewer pictures with annotations of their own',
    )
    parser.add_argument('--no-link', action='store_true', help='check only')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    from effformer_dense.engine.prepare import prepare_data

    print('\n'.join(prepare_data(args.name, args.folder, args.partial, link=not args.no_link)))


if __name__ == '__main__':
    run(main)
