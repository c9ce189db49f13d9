"""Arguments of a command as they are typed, before tyro reads them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise

from ..errors import UserError

#: Options that take one value or more, which add up if such an option is given several times; tyro takes none as well,
#: and the last ones alone.
_MANY = (
    '--cfg-options',
    '--sizes',
    '--modes',
    '--first-class',
    '--classes',
    '--ignore',
    '--precision',
    '--threads',
)
#: Those of them that need no value.
_MAY_HAVE_NONE = ('--classes', '--ignore')
#: Options whose empty value means something.
_MAY_BE_EMPTY = ('--prefix',)


def prepared(arguments: Iterable[str]) -> list[str]:
    """Arguments in one spelling, each option once.

    Raises:
        UserError: a value is empty, an option of several values has none, or one of a single value is given twice.
    """
    words = [_hyphened(argument) for argument in arguments]
    _check_values(words)
    times = Counter(word.partition('=')[0] for word in words if word.startswith('--'))
    for option, number in times.items():
        if number > 1 and option not in _MANY:
            raise UserError(f'{option} is given {number} times. Give it once.')
        if number > 1:
            words = join_repeated(words, option)
    return words


def _hyphened(argument: str) -> str:
    """``--cfg_options`` is ``--cfg-options``; what follows ``=`` stays.

    >>> _hyphened('--cfg_options=a_b=1')
    '--cfg-options=a_b=1'
    """
    option, equals, value = argument.partition('=')
    return option.replace('_', '-') + equals + value if argument.startswith('--') else argument


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
        if argument in _MANY and argument not in _MAY_HAVE_NONE and following.startswith('--'):
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
