"""From a command line to the call of a command, and from an error to what the user reads."""

from __future__ import annotations

import importlib
import inspect
import os
import sys
from collections.abc import Callable, Sequence
from itertools import pairwise

import tyro

from ..errors import UserError, message_of
from ..invocation import command
from ..threads import share_cores
from ..version import __version__

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

#: Options that take one value or more; tyro takes none as well.
_MANY = ('--cfg-options', '--sizes', '--modes', '--first-class')
#: Options whose empty value means something.
_MAY_BE_EMPTY = ('--prefix',)

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
    elif name in ('-h', '--help'):
        print(_overview())
    elif name == '--version':
        print(__version__)
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
    try:
        parse_and_call(name, sys.argv[1:] if arguments is None else arguments)
    except UserError as error:
        if os.environ.get('LOCAL_RANK', '0') == '0':
            print(f'\nError: {message_of(error)}', file=sys.stderr)
        sys.exit(2)
    except ModuleNotFoundError as error:
        if error.name not in _INSTALLING:
            raise
        print(f'\nError: {sys.executable} has no {error.name}: {_INSTALLING[error.name]}', file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


def parse_and_call(name: str, arguments: Sequence[str]) -> None:
    """Run a command; its errors come out as they are."""
    _check_values(arguments)
    identifier = name.replace('-', '_')
    module = importlib.import_module(f'{__package__}.{identifier}')
    function: Callable[..., None] = getattr(module, 'variant', lambda _: getattr(module, identifier))(arguments)
    description = (inspect.getdoc(function) or '').partition('\nArgs:')[0].replace('COMMAND', command(name))
    tyro.cli(
        function,
        prog=command(name),
        description=description,
        args=join_repeated(arguments, '--cfg-options'),
        config=_STYLE,
    )


def _check_values(arguments: Sequence[str]) -> None:
    """Refuse empty arguments, of which a path would be the current folder, and options of many values that have none.

    Raises:
        UserError: there is one.
    """
    for before, argument in pairwise(('', *arguments)):
        option, equals, value = argument.partition('=')
        named, empty = (option, not value) if equals and argument.startswith('--') else (before, not argument)
        if empty and named not in _MAY_BE_EMPTY:
            where = f' after {named}' if named else ''
            raise UserError(
                f'The value{where} is empty: give one, or leave it out. '
                'A variable of the shell that is not set looks like that.'
            )
    for argument, following in pairwise((*arguments, '--')):
        if argument in _MANY and following.startswith('--'):
            raise UserError(f'{argument} takes one value or more, separated by spaces; got none.')


def join_repeated(arguments: Sequence[str], option: str) -> list[str]:
    """Make one of an option of many values that is given several times, so that they add up.

    >>> join_repeated(['--cfg-options', 'a=1', '--amp', '--cfg-options', 'b=2'], '--cfg-options')
    ['--amp', '--cfg-options', 'a=1', 'b=2']
    """
    others: list[str] = []
    values: list[str] = []
    target = others
    for argument in arguments:
        if argument == option or argument.startswith(f'{option}='):
            target = values
            values += [argument.partition('=')[2]] if '=' in argument else []
        else:
            target = others if argument.startswith('-') else target
            target.append(argument)
    return [*others, option, *values] if values else others


def _overview() -> str:
    width = max(map(len, COMMANDS))
    lines = [f'  {name:<{width}}  {what}' for name, what in COMMANDS.items()]
    about = 'EfficientFormer backbones for detection and segmentation.'
    return '\n'.join(
        ['usage: effdense COMMAND ...', '', about, '', *lines, '', 'Options of a command: effdense COMMAND --help']
    )
