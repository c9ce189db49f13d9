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
    height, width = _CELL_PX
    header, caption = 2 * _TEXT_PX, round(1.5 * _TEXT_PX)
    row_px = header + height + caption + _GAP_PX
    canvas = Image.new('RGB', (per_class * (width + _GAP_PX) + _GAP_PX, len(labels) * row_px + _GAP_PX), PAPER)
    draw = ImageDraw.Draw(canvas)
    font = font_for([str(survey.classes[label]) for label in labels], _TEXT_PX)
    for row, label in enumerate(labels):
        top = _GAP_PX + row * row_px
        title = f'{survey.classes[label]}: {survey.counts[label]:,} {survey.unit}'
        red, green, blue = map(int, survey.palette[label])
        draw.rectangle((_GAP_PX, top + 8, _GAP_PX + 16, top + 24), fill=(red, green, blue), outline=INK)
        title = fitting(title, font, canvas.width - 5 * _GAP_PX)
        draw.text((4 * _GAP_PX, top + header // 2), title, fill=INK, font=font, anchor='lm')
        for column, index in enumerate(survey.samples(label, per_class)):
            left = _GAP_PX + column * (width + _GAP_PX)
            canvas.paste(Image.fromarray(survey.draw(index, height, width)), (left, top + header))
            name = fitting(survey.name(index), font, width)
            draw.text((left, top + header + height + caption // 2), name, fill=INK, font=font, anchor='lm')
    return np.asarray(canvas)
