"""Arguments that the tools share. Heavy imports wait until the arguments are known to be good."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path


def add_config_arguments(parser: argparse.ArgumentParser, default_config: Path | None = None) -> None:
    """The config, and what changes it."""
    if default_config is None:
        parser.add_argument('config', type=Path, help='config file')
    else:
        parser.add_argument(
            'config', type=Path, nargs='?', default=default_config, help='config file (default: %(default)s)'
        )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action='extend',
        default=[],
        metavar='KEY=VALUE',
        help='change entries of the config, e.g. model.backbone.norm_eval=True train_dataloader.batch_size=4',
    )


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """What training and testing share besides the config."""
    parser.add_argument('--work-dir', type=Path, help='where to write (default: work_dirs/CONFIG)')
    parser.add_argument('--data-root', type=Path, help="folder of the data set (default: the config's data_root)")
    parser.add_argument('--amp', action='store_true', help='mixed precision (needs a GPU)')
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none', help='job launcher')
    parser.add_argument('--local_rank', '--local-rank', type=int, help=argparse.SUPPRESS)  # passed by torch's launcher


def count(text: str) -> int:
    """Argument type: 0, 1, 2, ..."""
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f'{number} is negative')
    return number


def positive(text: str) -> int:
    """Argument type: 1, 2, ..."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f'{number} is not 1 or more')
    return number


def fraction(text: str) -> float:
    """Argument type: 0 to 1."""
    number = float(text)
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f'{number} is not between 0 and 1')
    return number


def add_speed_arguments(parser: argparse.ArgumentParser) -> None:
    """Faster inference, same results."""
    parser.add_argument('--fuse', action='store_true', help='fold norms into convolutions: faster, same results')
    parser.add_argument(
        '--compile', action='store_true', help='torch.compile the backbone: a minute or less at the start, then faster'
    )


def keep_memory_on_cpu() -> None:
    """Without a GPU the process keeps what it frees, which makes large inputs faster (docs/performance.md)."""
    import torch

    from effformer_dense.allocator import keep_freed_memory

    if not torch.cuda.is_available():
        keep_freed_memory()


def add_window_arguments(parser: argparse.ArgumentParser) -> None:
    """Sliding window of segmentors."""
    parser.add_argument(
        '--window-px',
        type=int,
        metavar='SIDE',
        help='segmentors: predict in windows of this side, in px of the resized picture (see docs/ade20k.md)',
    )
    parser.add_argument('--stride-px', type=int, metavar='STEP', help='from window to window (default: 2/3 of it)')


def config_options(args: argparse.Namespace):
    """:class:`ConfigOptions` of parsed arguments."""
    from effformer_dense.config.load import ConfigOptions

    if getattr(args, 'local_rank', None) is not None:
        os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    names = [field.name for field in fields(ConfigOptions)]
    return ConfigOptions(**{name: getattr(args, name) for name in names if hasattr(args, name)})


def run(main: Callable[[], None]) -> None:
    """Call ``main``; a mistake that the package recognised is one message and exit status 2, no traceback."""
    try:
        main()
    except ModuleNotFoundError as error:
        if error.name not in ('effformer_dense', 'torch', 'mmengine'):
            raise
        sys.exit(f'{sys.executable} has no {error.name}. Set up with make setup, then: source .venv/bin/activate')
    except ValueError as error:
        from effformer_dense.errors import UserError, message_of

        if not isinstance(error, UserError):
            raise
        if os.environ.get('LOCAL_RANK', '0') == '0':
            print(f'\nError: {message_of(error)}', file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
