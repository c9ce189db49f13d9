"""Mistakes that a user can make and that the package recognises, and how they are told."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable


class UserError(ValueError):
    """A mistake whose message is all that its maker needs: the value, what was expected, and the way out.

    The commands print that message without a traceback and exit with status 2. Anything else that is raised is a fault
    of the program and keeps its traceback.
    """


class MissingFileError(FileNotFoundError, UserError):
    """A file that is neither here nor to be downloaded."""


class MissingPackageError(ImportError, UserError):
    """A package that what was asked for needs, and that is not installed or cannot be used."""


def choice_error(what: str, value: object, choices: Iterable[object]) -> UserError:
    """Error for a value outside ``choices``: names both, and the nearest choice if there is one."""
    names = [str(choice) for choice in choices]
    near = difflib.get_close_matches(str(value).lower(), names, n=1)
    hint = f' Did you mean {near[0]!r}?' if near else ''
    return UserError(f'{what} must be one of {", ".join(names)}; got {value!r}.{hint}')


def some_of(values: Iterable[object], most: int) -> str:
    """The first of them in a sentence, with dots where there are more."""
    names = [str(value) for value in values]
    return ', '.join(names[:most]) + (', ...' if len(names) > most else '')


def message_of(error: UserError) -> str:
    """The message as it was raised, without what others put around it on its way.

    torch hands on what a loading process raised as an error of the same class, whose text is a traceback. MMEngine up
    to 0.10.7 names the class that it was building, once per level.
    """
    text = str(error)
    if text.startswith(f'Caught {type(error).__name__} in '):
        *_, text = re.split(rf'^{re.escape(_full_name(type(error)))}: ', text, flags=re.MULTILINE)
    return re.sub(r'^(class `\w+` in \S+\.py: )+', '', text).strip()


def _full_name(cls: type) -> str:
    """Name of an exception as tracebacks print it."""
    return f'{cls.__module__}.{cls.__qualname__}'
