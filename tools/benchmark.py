"""Time and memory of backbones, detectors and segmentors at any input size.

python tools/benchmark.py v2_s0 v2_l --sizes 800x1344 --modes eager fused
python tools/benchmark.py v2_s0 --sizes 512 1024 2048 --modes fused compiled
python tools/benchmark.py v2_s0 v1_l1 --sizes 224 --batch 8 --modes eager fused --against timm
python tools/benchmark.py v2_s0 --sizes 800x1344 --train
python tools/benchmark.py configs/maskrcnn_v2_s0_coco.py --sizes 800x1344 --modes eager fused

Weights and images are random. Each row runs in a process of its own. The rate of a large matrix product is measured
between the steps; the column GFLOP is time x that rate, which travels between machines better than a time does.
"""

import argparse
import os
from pathlib import Path

from arguments import positive, run


def size(text: str) -> tuple[int, int]:
    """Argument type: SIDE, or HEIGHTxWIDTH."""
    height, _, width = text.partition('x')
    return int(height), int(width or height)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        'models', nargs='+', metavar='MODEL', help='v1_l1 v1_l3 v1_l7 v2_s0 v2_s1 v2_s2 v2_l, or a config'
    )
    parser.add_argument('--sizes', nargs='+', type=size, default=[(800, 1344)], help='px: SIDE or HEIGHTxWIDTH')
    parser.add_argument('--batch', type=positive, default=1, help='images at once (default: %(default)s)')
    parser.add_argument(
        '--modes',
        nargs='+',
        choices=['eager', 'fused', 'compiled', 'fused+compiled'],
        default=['eager'],
        help='default: eager',
    )
    parser.add_argument(
        '--precision', choices=['fp32', 'bf16', 'fp16'], default='fp32', help='bf16 and fp16 by autocast'
    )
    parser.add_argument('--train', action='store_true', help='time forward and backward pass of backbones')
    parser.add_argument('--with-cp', action='store_true', help='with --train: recompute blocks in the backward pass')
    parser.add_argument('--against', choices=['timm'], help="add timm's model of the same name at 224 px")
    parser.add_argument('--device', default='cpu', help='cpu, cuda, cuda:1 ... (default: %(default)s)')
    parser.add_argument('--threads', type=positive, default=os.cpu_count(), help='CPU threads (default: all cores)')
    parser.add_argument(
        '--system-allocator',
        action='store_true',
        help='hand freed memory back to the system as programs do by default; the tools keep it (docs/performance.md)',
    )
    parser.add_argument('--repeats', type=positive, default=10, help='timed steps per row (default: %(default)s)')
    parser.add_argument('--out-dir', type=Path, default=Path('work_dirs/benchmark'), help='default: %(default)s')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    from effformer_dense.benchmark.cases import make_cases
    from effformer_dense.benchmark.report import run as run_cases

    cases = make_cases(
        args.models,
        args.sizes,
        args.modes,
        args.against == 'timm',
        batch=args.batch,
        precision=args.precision,
        device=args.device,
        train=args.train,
        with_cp=args.with_cp,
        threads=args.threads,
        keep_memory=not args.system_allocator,
        repeats=args.repeats,
    )
    run_cases(cases, args.out_dir)
    print(f'Results: {args.out_dir / "benchmark.json"}, {args.out_dir / "benchmark.png"}')


if __name__ == '__main__':
    run(main)
