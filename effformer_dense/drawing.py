"""Drawing on pictures, with Pillow: instances, captions, panels. It takes every text as it stands, and no framework."""

from __future__ import annotations

import colorsys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

Colour = tuple[int, int, int]
Box = tuple[int, int, int, int]  # first and last column and row: left, top, right, bottom

#: Pictures below this height are enlarged where nothing depends on their size, up to this width.
MIN_DRAWN_HEIGHT_PX = 480
_MAX_ENLARGED_WIDTH_PX = 4096

INK, PAPER = (20, 20, 20), (255, 255, 255)
_MASK_OPACITY = 0.45
#: Tried in this order for names that Pillow's own font, which is ASCII, cannot write.
_MATPLOTLIB_FONT = 'mpl-data/fonts/ttf/DejaVuSans.ttf'
_SYSTEM_FONTS = ('NotoSansCJK-Regular.ttc', 'NotoSans-Regular.ttf', 'Arial Unicode.ttf', 'msyh.ttc')
_NO_LETTER = '\U0010ffff'  # of which every font shows that it has none


@dataclass(frozen=True)
class Instances:
    """What is drawn of N objects.

    Attributes:
        boxes: (N, 4), left, top, right, bottom in px.
        labels: (N,) indices of classes.
        scores: (N,); None for ground truth.
        masks: (N, H, W) bool; None without.
        framed: draw the boxes; without, only the masks and their names.
    """

    boxes: np.ndarray
    labels: np.ndarray
    scores: np.ndarray | None = None
    masks: np.ndarray | None = None
    framed: bool = True

    def above(self, threshold: float) -> Instances:
        """Those with at least this score."""
        if self.scores is None:
            return self
        keep = self.scores >= threshold
        masks = None if self.masks is None else self.masks[keep]
        return Instances(self.boxes[keep], self.labels[keep], self.scores[keep], masks, self.framed)

    def resized(self, image: np.ndarray, factor: float) -> tuple[np.ndarray, Instances]:
        """Picture (H, W, 3) and objects, larger or smaller."""
        if factor == 1:
            return image, self
        size = tuple(max(1, round(side * factor)) for side in image.shape[1::-1])  # width, height
        bicubic, nearest = Image.Resampling.BICUBIC, Image.Resampling.NEAREST
        masks = self.masks
        if masks is not None and len(masks):
            masks = np.stack([np.asarray(Image.fromarray(mask).resize(size, nearest)) for mask in masks])
        image = np.asarray(Image.fromarray(image).resize(size, bicubic))
        return image, replace(self, boxes=self.boxes * factor, masks=masks)


def enlargement(height: int, width: int) -> int:
    """How many times as large a picture is drawn, so that small ones can be seen and captions read."""
    return max(1, min(round(MIN_DRAWN_HEIGHT_PX / height), _MAX_ENLARGED_WIDTH_PX // width))


def distinct_colours(count: int) -> list[Colour]:
    """RGB colours for data sets without a palette: hues by the golden ratio, so that neighbours differ."""
    colours = []
    for index in range(count):
        hue, saturation, value = (index * 0.618034) % 1, 0.6 + 0.4 * (index % 2), 0.95 - 0.15 * (index % 3)
        red, green, blue = colorsys.hsv_to_rgb(hue, saturation, value)
        colours.append((round(255 * red), round(255 * green), round(255 * blue)))
    return colours


def colours_of(palette: Any, count: int) -> Sequence[Sequence[int]]:
    """The palette if it has ``count`` colours, else distinct ones: mmdet's may also be a word, such as 'random'."""
    has_all = isinstance(palette, (list, tuple)) and len(palette) >= max(1, count)
    return palette if has_all else distinct_colours(max(1, count))


def draw_instances(
    image: np.ndarray, instances: Instances, classes: Sequence[str], palette: Sequence[Sequence[int]]
) -> np.ndarray:
    """Picture with its objects: box, translucent mask and name in the colour of the class.

    Lines and names grow with the picture; the largest objects are drawn first, so that small ones are not covered.
    Where objects crowd, a name goes where it hides neither another name nor a small object; where there is no such
    place, an object goes unnamed if another of its class has a name.

    Args:
        image: (H, W, 3) uint8, RGB.
        instances: in its coordinates.
        classes: names.
        palette: RGB per class.

    Returns:
        (H, W, 3) uint8.
    """
    canvas = Image.fromarray(image)
    boxes = np.nan_to_num(np.asarray(instances.boxes, dtype=float)).reshape(-1, 4)
    order = np.argsort(-(boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]), kind='stable')
    colours = [_colour(palette, int(label)) for label in instances.labels]
    if instances.masks is not None:
        for index in order:
            _fill(canvas, instances.masks[index], colours[index])
    draw, line_px = ImageDraw.Draw(canvas), max(2, round(min(canvas.size) / 240))
    if instances.framed:
        for index in order:
            draw.rectangle(_corners(boxes[index], canvas.size), outline=colours[index], width=line_px)
    captions = [_caption(instances, index, classes) for index in range(len(boxes))]
    font = font_for([*map(str, classes), *captions], text_px(canvas.size[1]))  # one for all pictures of a data set
    names = _Names(draw, font, [_corners(box, canvas.size) for box in boxes])
    for index in order:
        names.write(index, captions[index], colours[index])
    return np.asarray(canvas)


def draw_enlarged(
    image: np.ndarray, instances: Instances, classes: Sequence[str], palette: Sequence[Sequence[int]]
) -> np.ndarray:
    """As :func:`draw_instances`; small pictures are enlarged, so that they can be seen and names read."""
    return draw_instances(*instances.resized(image, enlargement(*image.shape[:2])), classes, palette)


def panels(images: Sequence[np.ndarray], captions: Sequence[str]) -> np.ndarray:
    """Pictures of one size side by side, each with a caption above.

    Args:
        images: each (H, W, 3) uint8, RGB.
        captions: one line of text each.

    Returns:
        (H', W', 3) uint8.
    """
    height, width = images[0].shape[:2]
    size = round(1.5 * text_px(height))
    bar, gap = 2 * size, max(4, width // 64)
    sheet = Image.new('RGB', (len(images) * (width + gap) - gap, height + bar), PAPER)
    draw, font = ImageDraw.Draw(sheet), font_for(captions, size)
    for index, (image, caption) in enumerate(zip(images, captions, strict=True)):
        left = index * (width + gap)
        sheet.paste(Image.fromarray(image), (left, bar))
        draw.text((left + size // 2, bar // 2), fitting(caption, font, width - size), fill=INK, font=font, anchor='lm')
    return np.asarray(sheet)


def bounds(mask: np.ndarray) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of what is set in a mask (H, W), which is something."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def text_px(height: int) -> int:
    """Size of names on a picture of that height."""
    return int(np.clip(height / 36, 11, 48))


Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def font_for(texts: Sequence[str], size: int) -> Font:
    """A font that can write the texts, or else most of their letters, of those on this machine."""
    letters = {letter for text in texts for letter in text}
    fonts: list[Font] = [ImageFont.load_default(size=size)]
    if all(map(str.isascii, letters)):
        return fonts[0]
    fonts += _wide_fonts(size)
    return min(fonts, key=lambda font: len(lacking(font, letters)))  # the first of those that lack least


def lacking(font: Font, letters: Iterable[str]) -> set[str]:
    """Letters that a font has no picture of."""
    none = bytes(font.getmask(_NO_LETTER))
    return {letter for letter in letters if letter.isprintable() and bytes(font.getmask(letter)) == none}


@lru_cache(maxsize=8)
def _wide_fonts(size: int) -> list[Font]:
    found = find_spec('matplotlib')
    home = Path(found.origin).parent if found is not None and found.origin is not None else Path()
    fonts: list[Font] = []
    for name in (str(home / _MATPLOTLIB_FONT), *_SYSTEM_FONTS):
        with suppress(OSError):
            fonts.append(ImageFont.truetype(name, size))
    return fonts


def fitting(text: str, font: Font, width_px: float) -> str:
    """One line of text, cut at the end to fit a width."""
    text = ' '.join(text.split())[:300]
    if font.getlength(text) <= width_px:
        return text
    while text and font.getlength(f'{text}...') > width_px:
        text = text[:-1]
    return f'{text}...'


def _colour(palette: Sequence[Sequence[int]], label: int) -> Colour:
    red, green, blue = (int(value) for value in palette[label % len(palette)])
    return red, green, blue


def _caption(instances: Instances, index: int, classes: Sequence[str]) -> str:
    label = int(instances.labels[index])
    name = str(classes[label]).strip() if label < len(classes) else f'class {label}'
    return name if instances.scores is None else f'{name} {float(instances.scores[index]):.2f}'


def _corners(box: np.ndarray, size: tuple[int, int]) -> Box:
    """Whole pixels inside a picture of ``size`` (width, height), right and bottom not before left and top."""
    limits = np.array([size[0] - 1, size[1] - 1] * 2)
    left, top, right, bottom = np.clip(np.round(box), 0, limits).astype(int).tolist()
    return left, top, max(left, right), max(top, bottom)


def _fill(canvas: Image.Image, mask: np.ndarray, colour: Colour) -> None:
    """Lay a mask over the picture, translucent; only where it is, so that many masks cost little memory."""
    if not mask.any():
        return
    left, top, right, bottom = bounds(mask)
    alpha = mask[top:bottom, left:right] * np.uint8(255 * _MASK_OPACITY)
    canvas.paste(colour, (left, top, right, bottom), Image.fromarray(alpha))


class _Names:
    """Writes names at boxes, where they hide neither each other nor small objects.

    Args:
        draw: on the picture.
        font: of the names.
        boxes: left, top, right, bottom of all objects, inside the picture.
    """

    def __init__(self, draw: ImageDraw.ImageDraw, font: Font, boxes: Sequence[Box]) -> None:
        self._draw, self._font, self._boxes = draw, font, boxes
        self._written: list[Box] = []
        self._named: set[Colour] = set()

    def write(self, index: int, caption: str, colour: Colour) -> None:
        """Name an object, or leave it to its colour if there is no room and another of that colour has a name."""
        width, height = self._draw.im.size
        caption = fitting(caption, self._font, width)
        x1, y1, x2, y2 = self._draw.textbbox((0, 0), caption, font=self._font)
        wide, high = int(x2 - x1) + 4, int(y2 - y1) + 4
        left, top, right, bottom = self._boxes[index]
        above = (left, top - high) if top >= high else (left, top)  # inside, where the picture ends there
        corners = [above, (left, bottom + 1), (right - wide + 1, top - high), (right - wide + 1, bottom + 1)]
        corners = [(max(0, min(x, width - wide)), y) for x, y in corners]
        places = [(x, y, x + wide - 1, y + high - 1) for x, y in corners]
        free = (place for place in places if place[1] >= 0 and place[3] < height and not self._hides(place, index))
        place = next(free, None if colour in self._named else places[0])
        if place is None:
            return
        self._named.add(colour)
        self._written.append(place)
        self._draw.rectangle(place, fill=colour)
        red, green, blue = colour
        ink = INK if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else PAPER
        self._draw.text((place[0] + 2 - x1, place[1] + 2 - y1), caption, fill=ink, font=self._font)

    def _hides(self, place: Box, own: int) -> bool:
        """Whether a name there would lie over another, or over half of an object."""
        others = (box for index, box in enumerate(self._boxes) if index != own)
        return any(_shared(place, name) for name in self._written) or any(
            2 * _shared(place, box) > _shared(box, box) for box in others
        )


def _shared(one: Box, other: Box) -> int:
    """Pixels that two boxes have in common."""
    width = min(one[2], other[2]) - max(one[0], other[0]) + 1
    height = min(one[3], other[3]) - max(one[1], other[1]) + 1
    return max(0, width) * max(0, height)
