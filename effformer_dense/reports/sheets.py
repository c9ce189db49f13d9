"""Contact sheets: annotated pictures of each class, in rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from ..data.survey import Survey
from ..drawing import INK, PAPER, fitting, font_for

#: A picture fits into this, (height, width) in px.
_CELL_PX = (300, 400)
_GAP_PX, _TEXT_PX = 8, 16
#: Rows of a sheet: more would make pictures that viewers refuse.
_CLASSES_PER_SHEET = 8


@dataclass(frozen=True)
class Sheet:
    """Some classes of a data set.

    Attributes:
        image: (H, W, 3) uint8, RGB.
        text: what can be seen, for those who cannot.
    """

    image: np.ndarray
    text: str


def contact_sheets(survey: Survey, per_class: int) -> Iterator[Sheet]:
    """A row of pictures for every class, ``per_class`` at most, some rows to a sheet."""
    labels = [label for label in range(len(survey.classes)) if survey.counts[label]]
    for start in range(0, len(labels), _CLASSES_PER_SHEET):
        chosen = labels[start : start + _CLASSES_PER_SHEET]
        yield Sheet(_sheet(survey, chosen, per_class), ', '.join(str(survey.classes[label]) for label in chosen))


def _sheet(survey: Survey, labels: list[int], per_class: int) -> np.ndarray:
    rows = [_row(survey, label, per_class) for label in labels]
    height = sum(row.height for row in rows) + _GAP_PX * (len(rows) + 1)
    canvas = Image.new('RGB', (rows[0].width + 2 * _GAP_PX, height), PAPER)
    top = _GAP_PX
    for row in rows:
        canvas.paste(row, (_GAP_PX, top))
        top += row.height + _GAP_PX
    return np.asarray(canvas)


def _row(survey: Survey, label: int, per_class: int) -> Image.Image:
    """The colour and name of a class, and below it pictures, each over its name."""
    height, width = _CELL_PX
    samples = survey.samples(label, per_class)
    pictures = [Image.fromarray(survey.draw(index, height, width)) for index in samples]
    height = max(picture.height for picture in pictures)
    header, caption = 2 * _TEXT_PX, round(1.5 * _TEXT_PX)
    canvas = Image.new('RGB', (per_class * (width + _GAP_PX) - _GAP_PX, header + height + caption), PAPER)
    title = f'{survey.classes[label]}: {survey.counts[label]:,} {survey.unit}'
    names = [survey.name(index) for index in samples]
    draw, font = ImageDraw.Draw(canvas), font_for([*map(str, survey.classes), *names], _TEXT_PX)
    red, green, blue = map(int, survey.palette[label])
    draw.rectangle((0, 8, 16, 24), fill=(red, green, blue), outline=INK)
    title = fitting(title, font, canvas.width - 4 * _GAP_PX)
    draw.text((3 * _GAP_PX, header // 2), title, fill=INK, font=font, anchor='lm')
    for column, (picture, name) in enumerate(zip(pictures, names, strict=True)):
        left = column * (width + _GAP_PX)
        canvas.paste(picture, (left, header))
        place = (left, header + height + caption // 2)
        draw.text(place, fitting(name, font, width), fill=INK, font=font, anchor='lm')
    return canvas
