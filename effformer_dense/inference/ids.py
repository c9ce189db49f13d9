"""Ids by which COCO's tools know pictures and classes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path, PurePosixPath

from ..errors import UserError, choice_error, some_of
from ..results import Classes


class ImageIds:
    """Ids of pictures: of an annotation file, or the numbers that their files are called.

    Args:
        annotations: file in COCO format.

    Raises:
        UserError: the file cannot be read as one.
    """

    def __init__(self, annotations: Path | None) -> None:
        self._source = annotations
        self._ids: dict[str, int] = {}
        self._categories: dict[str, int] = {}
        if annotations is not None:
            self._read(annotations)

    def _read(self, path: Path) -> None:
        try:
            tables = json.loads(path.read_bytes())
            ids = {str(image['file_name']).replace('\\', '/'): int(image['id']) for image in tables['images']}
            self._categories = {str(row['name']): int(row['id']) for row in tables.get('categories', ())}
        except OSError as error:
            raise UserError(f'--ids {path} cannot be read ({error.strerror}).') from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(
                f'--ids {path} is no annotation file in COCO format: a table images with id and file_name is expected.'
            ) from error
        short = Counter(PurePosixPath(name).name for name in ids)
        by_name = {PurePosixPath(name).name: number for name, number in ids.items()}
        self._ids = {**{name: number for name, number in by_name.items() if short[name] == 1}, **ids}

    def __getitem__(self, file_name: str) -> int:
        """Id of a picture, by its path, of which the annotation file may know the end alone.

        Raises:
            UserError: it has none.
        """
        path = PurePosixPath(file_name)
        if self._source is None:
            if not (path.stem.isascii() and path.stem.isdigit()):
                raise UserError(
                    f'{file_name} is not called by a number, which would be its image id. '
                    'Name an annotation file that has it: --ids ANNOTATIONS.json'
                )
            return int(path.stem)
        # The longest end of the path that the file knows: folders above it may be called otherwise.
        ends = ('/'.join(path.parts[start:]) for start in range(len(path.parts)))
        found = next((self._ids[end] for end in ends if end in self._ids), None)
        if found is None:
            raise UserError(f'{file_name} is not among the images of {self._source}: take the file that belongs to it.')
        return found

    def check(self, file_names: Iterable[str]) -> None:
        """Each picture has an id of its own.

        Raises:
            UserError: one has none, or two have the same.
        """
        names: dict[int, str] = {}
        for name in file_names:
            first = names.setdefault(self[name], name)
            if first != name:
                raise UserError(
                    f'{first} and {name} have the same image id, {self[name]}. Run them one after the other, or name '
                    'an annotation file that tells them apart: --ids ANNOTATIONS.json'
                )

    def categories(self, classes: Classes) -> Classes:
        """Classes with the category ids of the annotation file, by their names.

        Raises:
            UserError: it lacks some of them; scored against it, they would count as wrong.
        """
        if self._source is None or not self._categories:
            return classes
        lacking = [name for name in classes.names if name not in self._categories]
        if len(lacking) == 1:
            raise choice_error(f'--ids {self._source}: a category', lacking[0], self._categories)
        if lacking:
            raise UserError(
                f'--ids {self._source} lacks categories that the model predicts: {some_of(lacking, 5)}. '
                'Take the annotation file that belongs to the pictures.'
            )
        return replace(classes, numbers=tuple(self._categories[name] for name in classes.names))
