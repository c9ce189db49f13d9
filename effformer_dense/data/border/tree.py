"""The files of a folder that somebody names: listed once, never followed out of it unless that is allowed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePath, PurePosixPath

from ...errors import UserError

#: A folder of more files is probably not a data set but somebody's disk.
_MOST_FILES = 5_000_000


@dataclass(frozen=True)
class Tree:
    """Files below a folder, hidden ones left out.

    Attributes:
        root: the folder.
        files: names of the files in every folder, sorted; folders by their paths relative to the root, '' for itself.
        outside_root: whether links and paths may lead out of the root.
        misnamed: files and folders that are left out, for their names are no UTF-8.
    """

    root: Path
    files: dict[str, list[str]] = field(repr=False)
    outside_root: bool = False
    misnamed: tuple[str, ...] = ()

    def names(self, folder: str, suffixes: Iterable[str]) -> list[str]:
        """Files directly in a folder that end with one of ``suffixes``, whatever the case."""
        endings = tuple(suffixes)
        return [name for name in self.files.get(folder, ()) if name.lower().endswith(endings)]

    def below(self, folder: str, suffixes: Iterable[str]) -> list[str]:
        """Files of a folder to its bottom, relative to it."""
        endings = tuple(suffixes)
        return [
            (inside / name).as_posix() if str(inside) != '.' else name
            for inside, names in self._folders_below(folder)
            for name in names
            if name.lower().endswith(endings)
        ]

    def _folders_below(self, folder: str) -> Iterator[tuple[PurePosixPath, list[str]]]:
        prefix = f'{folder}/' if folder else ''
        for path, names in self.files.items():
            if path == folder or path.startswith(prefix):
                yield PurePosixPath(path[len(prefix) :]), names

    @cached_property
    def _sets(self) -> dict[str, frozenset[str]]:
        return {folder: frozenset(names) for folder, names in self.files.items()}

    def has_file(self, file: str) -> bool:
        """Whether there is such a file, by its path relative to the root."""
        folder, _, name = file.rpartition('/')
        return name in self._sets.get(folder, ())

    @cached_property
    def _folded(self) -> dict[str, str]:
        paths = (f'{folder}/{name}' if folder else name for folder, names in self.files.items() for name in names)
        return {path.casefold(): path for path in paths}

    def found_file(self, file: str) -> str | None:
        """A file as it is written here, where no other than its letters' case may differ; None if it is not there."""
        return file if self.has_file(file) else self._folded.get(file.casefold())

    def has_folder(self, folder: str) -> bool:
        """Whether there is such a folder, with files somewhere below it."""
        return any(path == folder or path.startswith(f'{folder}/') for path in self.files)

    def inside(self, path: str | PurePath) -> str | None:
        """``path``, taken from the root if it is relative, as a path relative to the root; None if it leads out."""
        plain = os.path.relpath(os.path.normpath(self.root.absolute() / path), self.root.absolute())
        return None if plain.split(os.sep)[0] == '..' else '' if plain == '.' else Path(plain).as_posix()


def list_tree(root: Path, outside_root: bool = False) -> Tree:
    """List a folder.

    Args:
        root: folder.
        outside_root: follow symbolic links that lead out of it.

    Raises:
        UserError: there is no such folder, it is a file or empty, or a link leads out of it.
    """
    if root.is_file():
        raise UserError(f'{root} is a file. Unpack it if it is an archive, and name the folder that holds the data.')
    if not root.is_dir():
        raise UserError(f'{root} does not exist. Name the folder that the annotation tool exported.')
    files: dict[str, list[str]] = {}
    misnamed: list[str] = []
    seen = {os.path.realpath(root)}
    queue, count = [''], 0
    while queue:
        folder = queue.pop()
        names = []
        for entry in os.scandir(root / folder):
            if entry.name.startswith('.') or entry.name == '__MACOSX':
                continue
            relative = f'{folder}/{entry.name}' if folder else entry.name
            if not is_text(relative):
                misnamed.append(relative.encode(errors='backslashreplace').decode())
                continue
            if entry.is_symlink():
                _check_link(root, relative, outside_root)
            if not entry.is_dir():
                names.append(entry.name)
            elif (real := os.path.realpath(entry.path)) not in seen:  # links may go in circles
                seen.add(real)
                queue.append(relative)
        count += len(names)
        if count > _MOST_FILES:
            raise UserError(f'{root} holds more than {_MOST_FILES:,} files. Name the folder of the data set itself.')
        if names:
            files[folder] = sorted(names)
    if not files:
        raise UserError(f'{root} holds no files. Name the folder that the annotation tool exported.')
    return Tree(root, dict(sorted(files.items())), outside_root, tuple(sorted(misnamed)))


def is_text(name: str) -> bool:
    """Whether a name can be written as UTF-8: those of old archives, unpacked on another system, cannot."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _check_link(root: Path, relative: str, outside_root: bool) -> None:
    target = os.path.realpath(root / relative)
    if not outside_root and not Path(target).is_relative_to(os.path.realpath(root)):
        raise UserError(
            f'{root / relative} is a link to {target}, outside {root}. If what is there belongs to the data set: '
            '--outside-root'
        )
