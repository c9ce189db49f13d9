"""Drawing on pictures, with Pillow: instances, captions, panels. It takes every text as it stands, and no framework."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

Colour = tuple[int, int, int]

#: Pictures below this height are enlarged where nothing depends on their size, up to this width.
MIN_DRAWN_HEIGHT_PX = 480
_MAX_ENLARGED_WIDTH_PX = 4096

INK, PAPER = (20, 20, 20), (255, 255, 255)
_MASK_OPACITY = 0.45
#: Tried in this order for names that Pillow's own font, which is Latin, cannot write.
_WIDE_FONTS = ('NotoSansCJK-Regular.ttc', 'NotoSans-Regular.ttf', 'DejaVuSans.ttf', 'Arial Unicode.ttf', 'msyh.ttc')


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
    font = font_for(captions, text_px(canvas.size[1]))
    for index in order:
        _name(draw, canvas.size, boxes[index], captions[index], colours[index], font)
    return np.asarray(canvas)


def panels(images: Sequence[np.ndarray], captions: Sequence[str]) -> np.ndarray:
    """Pictures of one size side by side, each with a caption above.

    Args:
        images: each (H, W, 3) uint8, RGB.
        captions: one line of text each.

    Returns:
        (H', W', 3) uint8.
    """
    height, width = images[0].shape[:2]
    size = text_px(height)
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


def font_for(texts: Sequence[str], size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """A font that can write the texts, if there is one on this machine."""
    if any(ord(letter) > 0x24F for text in texts for letter in text):
        for name in _WIDE_FONTS:
            try:
                return ImageFont.truetype(name, size)
            except OSError:
                continue
    return ImageFont.load_default(size=size)


def fitting(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width_px: float) -> str:
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


def _corners(box: np.ndarray, size: tuple[int, int]) -> tuple[int, int, int, int]:
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


def _name(
    draw: ImageDraw.ImageDraw,
    size: tuple[int, int],
    box: np.ndarray,
    caption: str,
    colour: Colour,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
) -> None:
    """Write a name above its box, or inside where the picture ends there."""
    left, top, _, _ = _corners(box, size)
    caption = fitting(caption, font, size[0])
    x1, y1, x2, y2 = draw.textbbox((0, 0), caption, font=font)
    width, height = int(x2 - x1) + 4, int(y2 - y1) + 4
    left = max(0, min(left, size[0] - width))
    top = top - height if top >= height else top
    draw.rectangle((left, top, left + width - 1, top + height - 1), fill=colour)
    red, green, blue = colour
    ink = INK if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else PAPER
    draw.text((left + 2 - x1, top + 2 - y1), caption, fill=ink, font=font)
