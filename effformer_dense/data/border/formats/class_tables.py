"""Files beside segmentation maps that tell what a colour or a number means."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from ....errors import UserError
from .texts import strict_text

#: As annotation tools and public data sets call them: CVAT, Roboflow, Kaggle's CamVid, CamVid, labelme, fastai.
CLASS_FILES = (
    'labelmap.txt',
    '_classes.csv',
    'class_dict.csv',
    'label_colors.txt',
    'class_names.txt',
    'classes.txt',
    'labels.txt',
    'codes.txt',
)
_CVAT = re.compile(r'^(?P<name>[^:]+):(?P<colour>\d+,\d+,\d+):')
_MAX_BYTES = 1_000_000
_HEADERS = {'name', 'class', 'label', 'pixel value', 'r', 'g', 'b', 'red', 'green', 'blue', 'value'}

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class ClassTable:
    """Classes in their order.

    Attributes:
        names: of all classes.
        colours: of all classes, RGB; None where the file has none.
        values: numbers of all classes in the maps; None where they are 0, 1, 2 and so on.
        source: the file.
    """

    names: tuple[str, ...]
    colours: tuple[Colour, ...] | None
    values: tuple[int, ...] | None
    source: str


def read_class_table(path: Path) -> ClassTable:
    """Read names, and colours or numbers, one class a line.

    Lines are ``name:r,g,b::`` (CVAT), ``name,r,g,b`` or ``r g b name`` in any usual separation, ``number, name``, or a
    name alone.

    Raises:
        UserError: missing, empty, of several kinds, or with a name or colour that stands there twice.
    """
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise UserError(f'{path} has more than {_MAX_BYTES:,} bytes: no table of classes.')
        text = strict_text(path)
    except OSError as error:
        raise UserError(f'{path} cannot be read ({error.strerror}): a file of class names and colours.') from error
    rows = [row for line in text.splitlines() if (row := _row(line.strip())) is not None]
    if not rows:
        raise UserError(f'{path} names no classes; a line is name:r,g,b:: or name,r,g,b or a name.')
    kinds = {type(mark) for _, mark in rows}
    if len(kinds) > 1:
        raise UserError(f'{path}: some lines have colours or numbers and some have none. Give every class one.')
    names = tuple(name for name, _ in rows)
    marks = [mark for _, mark in rows]
    for what, values in (('name', names), ('colour or number', [mark for mark in marks if mark is not None])):
        double = next((value for place, value in enumerate(values) if value in values[:place]), None)
        if double is not None:
            raise UserError(f'{path}: the {what} {double} stands there twice.')
    colours = tuple(mark for mark in marks if isinstance(mark, tuple)) or None
    return ClassTable(names, colours, tuple(mark for mark in marks if isinstance(mark, int)) or None, str(path))


def _row(line: str) -> tuple[str, Colour | int | None] | None:
    """Name and what stands for it; None for a line that names no class."""
    if not line or line.startswith('#'):
        return None
    cvat = _CVAT.match(line)
    if cvat:
        return cvat['name'].strip(), _colour(cvat['colour'].split(','), line)
    parts = [part.strip() for part in re.split(r'[,;\t]', line) if part.strip()]
    if len(parts) < 2 and re.match(r'^\d+\s+\d+\s+\d+\s+\S', line):
        parts = line.split(maxsplit=3)
    elif len(parts) == 2 and re.fullmatch(r'\d+\s+\d+\s+\d+', parts[0]):
        parts = [*parts[0].split(), parts[1]]
    if len(parts) > 1 and {part.lower() for part in parts} <= _HEADERS:
        return None
    numbers = [part for part in parts if part.isdigit()]
    words = [part for part in parts if not part.isdigit()]
    if len(words) == 1 and len(numbers) == 3:
        return words[0], _colour(numbers, line)
    if len(words) == 1 and len(numbers) == 1:
        return words[0], int(numbers[0])
    return line, None


def _colour(parts: list[str], line: str) -> Colour:
    red, green, blue = (int(part) for part in parts)
    if max(red, green, blue) > 255:
        raise UserError(f'{line!r}: colours are three numbers from 0 to 255.')
    return red, green, blue
