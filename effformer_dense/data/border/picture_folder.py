"""Finding the pictures that an annotation file names, in spite of how tools write names, and never outside a folder."""

from __future__ import annotations

import os
import re
import stat
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from ...errors import UserError
from ..finding import PICTURE_SUFFIXES
from .numbers import shown
from .tree import is_text

_DRIVE = re.compile(r'^[A-Za-z]:/')


@dataclass(frozen=True)
class Match:
    """A picture that was found.

    Attributes:
        name: relative to the folder, with slashes.
        how: what had to be done to the name; None if it was found as it stands.
        loose: only a part of the name, or its letters regardless of case, was found: another record may mean it too.
        num_bytes: size of the file.
    """

    name: str
    how: str | None
    loose: bool
    num_bytes: int


class PictureFolder:
    """The folder in which the pictures of an annotation file lie.

    Args:
        root: the folder.
        outside_root: let names and links lead out of it.

    Raises:
        UserError: there is no such folder.
    """

    def __init__(self, root: Path, outside_root: bool = False) -> None:
        if not root.is_dir():
            raise UserError(f'{root}, where the pictures should be, is no folder. Name the folder of the pictures.')
        self.root = root
        self._outside_root = outside_root
        self._real_root = os.path.realpath(root)

    def find(self, name: str) -> Match | None:
        """The picture that a record names; None if there is none.

        Raises:
            UserError: it lies outside the folder.
        """
        if '\0' in name or not is_text(name):
            return None
        if self._outside_root and (leaves(name) or os.path.isabs(name)):
            num_bytes = self._num_bytes(name)
            if num_bytes is not None:
                return Match(name, None, False, num_bytes)
        for candidate, how in candidates(name):
            num_bytes = self._num_bytes(candidate)
            if num_bytes is not None:
                return Match(candidate, how, False, num_bytes)
        found = self._search(name)
        if found is None and (leaves(name) or os.path.isabs(name)) and os.path.exists(os.path.join(self.root, name)):
            raise UserError(
                f'{shown(name)} lies outside {self.root}. Name the folder that holds all pictures, or allow names that '
                'leave it with --outside-root.'
            )
        return found

    def namesakes(self, name: str) -> int:
        """How many pictures, in whatever folders, are called like one that was found."""
        return len(self._by_last.get(_folded(name.rpartition('/')[2]), ()))

    def _num_bytes(self, name: str) -> int | None:
        """Size of a regular file below the root; None if there is none."""
        path = os.path.join(self.root, name)
        try:
            entry = os.lstat(path)
            if not self._outside_root:
                self._check_inside(path, stat.S_ISLNK(entry.st_mode))
            if stat.S_ISLNK(entry.st_mode):
                entry = os.stat(path)
        except OSError:
            return None
        return entry.st_size if stat.S_ISREG(entry.st_mode) else None

    def _check_inside(self, path: str, is_link: bool) -> None:
        real = os.path.realpath(path) if is_link else _real_folder(os.path.dirname(path))
        if real != self._real_root and not real.startswith(self._real_root + os.sep):
            raise UserError(
                f'{shown(path)} is behind a link that leaves {self.root}. Name the folder that it leads to, or allow '
                'links that leave it with --outside-root.'
            )

    def _search(self, name: str) -> Match | None:
        """By the longest end of the name that one picture has, regardless of case and of how accents are composed."""
        how = 'found by the end of its name'
        for candidate, _ in (*candidates(name), *((unquote(text), '') for text, _ in candidates(name))):
            parts = candidate.split('/')
            for start in range(len(parts)):
                tail = '/'.join(parts[start:])
                for names in (self._index.get(_folded(tail), ()), self._by_last.get(_folded(parts[-1]), ())):
                    fitting = [there for there in names if ('/' + _folded(there)).endswith('/' + _folded(tail))]
                    num_bytes = self._num_bytes(fitting[0]) if len(fitting) == 1 else None
                    if num_bytes is not None:
                        return Match(fitting[0], how, True, num_bytes)
        return None

    @cached_property
    def _index(self) -> dict[str, list[str]]:
        """Names of all pictures below the root, by what they are without regard to case and composition."""
        index: dict[str, list[str]] = {}
        for folder, _, files in os.walk(self.root):
            inner = os.path.relpath(folder, self.root)
            for file in files:
                if file.lower().endswith(PICTURE_SUFFIXES):
                    name = file if inner == '.' else f'{inner}/{file}'.replace(os.sep, '/')
                    index.setdefault(_folded(name), []).append(name)
        return index

    @cached_property
    def _by_last(self) -> dict[str, list[str]]:
        """The same by the last part of the name."""
        index: dict[str, list[str]] = {}
        for folded, names in self._index.items():
            index.setdefault(folded.rpartition('/')[2], []).extend(names)
        return index


def candidates(name: str) -> Iterator[tuple[str, str | None]]:
    """Relative names that a record's name may mean, the likeliest first, and what was done to get there."""
    plain = _normal(name)
    if not leaves(plain):
        yield plain, None if plain == name else 'written in its plain form'
    text = _without_scheme(name).replace('\\', '/')
    for form, how in ((text, 'written with slashes, relative'), (unquote(text), 'URL quotes undone')):
        inner = _normal(_DRIVE.sub('/', form)).lstrip('/')
        while inner.startswith('../'):
            inner = inner[3:]
        if inner not in ('', '.', '..', plain):
            yield inner, how


def leaves(name: str) -> bool:
    """Whether a name leads out of the folder that it is relative to."""
    plain = _normal(name.replace('\\', '/'))
    return plain.startswith(('/', '../')) or plain in ('..', '.', '') or bool(_DRIVE.match(plain))


def _normal(name: str) -> str:
    return os.path.normpath(name) if name else ''


def _without_scheme(name: str) -> str:
    """What a URL names: ``file://`` and ``http://`` of exporters, ``?d=`` of Label Studio's local files."""
    if '://' not in name and '?d=' not in name:
        return name
    try:
        parts = urlsplit(name)
    except ValueError:
        return name
    return parse_qs(parts.query).get('d', [parts.path])[0]


def _folded(name: str) -> str:
    return unicodedata.normalize('NFC', name).casefold()


@lru_cache(maxsize=100_000)
def _real_folder(path: str) -> str:
    return os.path.realpath(path)
