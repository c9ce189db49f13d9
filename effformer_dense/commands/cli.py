"""From a command line to the call of a command, and from an error to what the user reads."""

from __future__ import annotations

import importlib
import inspect
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn

import tyro

from ..errors import UserError, message_of
from ..files import OF_THE_DISK
from ..invocation import command
from ..threads import share_cores
from ..version import __version__
from ._arguments import prepared

#: Commands, and for the overview what they do. Each is a function of its name in a module of its name; a module whose
#: command takes different arguments for different things has a function `variant` that chooses among its functions.
COMMANDS = {
    'train': 'train a detector or segmentor',
    'test': 'evaluate one on the test split of its config',
    'infer': 'run one on pictures of your own',
    'export': 'write one as a file for ONNX Runtime, OpenVINO, Core ML, ...',
    'eval-ade20k': 'score a folder of segmentation maps',
    'convert': 'convert a checkpoint between layouts',
    'prepare-data': 'check COCO or ADE20K and link it to where the configs look; make your own data trainable',
    'show': 'look at a data set: samples of every class, histograms',
    'benchmark': 'measure time and memory at any input size',
    'search': 'a network for your picture size and your machine',
    'compare': "backbones beside each other, timm's as well, in one run",
}

_FRAMEWORKS = (
    "pip install 'effformer_dense[onedl]', and see "
    '"In your own config" in the README. Exported models (.onnx, .xml) run without.'
)
#: What the commands but for `infer MODEL` need beside the extra `runtime`, and how to get it.
_INSTALLING = {'torch': _FRAMEWORKS, 'mmengine': _FRAMEWORKS, 'rich': 'pip install rich'}

_STYLE = (
    tyro.conf.OmitArgPrefixes,
    tyro.conf.FlagCreatePairsOff,
    tyro.conf.DisallowNone,
    tyro.conf.PositionalRequiredArgs,
    tyro.conf.PositionalMetavarFromFieldName,
    tyro.conf.HelptextFromCommentsOff,
    tyro.conf.SuppressFixed,
)


def effdense() -> None:
    """The command ``effdense``."""
    name, *arguments = sys.argv[1:] or ['--help']
    if name in COMMANDS:
        main(name, arguments)
    elif name in ('-h', '--help', '--version'):
        with _errors_told():
            print(__version__ if name == '--version' else _overview())
    else:
        print(_overview(), file=sys.stderr)
        sys.exit(f'\nError: there is no command {name!r}.' if name else 2)


def main(name: str, arguments: Sequence[str] | None = None) -> None:
    """Run a command; a mistake of the user's is one message and exit status 2, no traceback.

    Args:
        name: one of :data:`COMMANDS`.
        arguments: what follows it; None for the arguments of the process.
    """
    share_cores()
    with _errors_told():
        parse_and_call(name, sys.argv[1:] if arguments is None else arguments)


@contextmanager
def _errors_told() -> Iterator[None]:
    """End the process with a message where the program is not at fault."""
    try:
        try:
            yield
        finally:
            if sys.stdout is not None:  # closed by who started it
                sys.stdout.flush()  # here, and not when Python ends, it may fail
    except UserError as error:
        if os.environ.get('LOCAL_RANK', '0') == '0':
            _end(message_of(error))
        sys.exit(2)
    except BrokenPipeError:  # whoever read what is printed has ended, as ``| head`` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(128 + signal.SIGPIPE)
    except OSError as error:
        if error.errno not in OF_THE_DISK:
            raise
        _end(f'{error.filename or "A file"} could not be written: {error.strerror}. Make room, or write elsewhere.')
    except ModuleNotFoundError as error:
        if error.name not in _INSTALLING:
            raise
        _end(f'{sys.executable} has no {error.name}: {_INSTALLING[error.name]}')
    except KeyboardInterrupt:
        sys.exit(130)


def _end(message: str) -> NoReturn:
    print(f'\nError: {message}', file=sys.stderr)
    sys.exit(2)


def parse_and_call(name: str, arguments: Sequence[str]) -> None:
    """Run a command; its errors come out as they are."""
    arguments = prepared(arguments)
    identifier = name.replace('-', '_')
    module = importlib.import_module(f'{__package__}.{identifier}')
    function: Callable[..., None] = getattr(module, 'variant', lambda _: getattr(module, identifier))(arguments)
    description = (inspect.getdoc(function) or '').partition('\nArgs:')[0].replace('COMMAND', command(name))
    tyro.cli(
        function,
        prog=command(name),
        description=description,
        args=arguments,
        config=_STYLE,
    )


def _overview() -> str:
    width = max(map(len, COMMANDS))
    lines = [f'  {name:<{width}}  {what}' for name, what in COMMANDS.items()]
    about = 'EfficientFormer backbones for detection and segmentation.'
    return '\n'.join(
        ['usage: effdense COMMAND ...', '', about, '', *lines, '', 'Options of a command: effdense COMMAND --help']
    )
