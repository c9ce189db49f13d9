"""Labels as colours: over the picture, as a map, with a legend of what is in it.

mmseg's ``SegLocalVisualizer`` draws too, but sorts a Python list of all pixels to place its captions, which takes
minutes and many GB at 4000 x 3000 px. Here it is one look-up per pixel.
"""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ..drawing import enlargement

OPACITY = 0.6

_INK, _PAPER, _NOTHING = (20, 20, 20), (255, 255, 255), (0, 0, 0)


def distinct_colours(count: int) -> list[tuple[int, int, int]]:
    """RGB colours for data sets without a palette: hues by the golden ratio, so that neighbours differ."""
    colours = []
    for index in range(count):
        hue, saturation, value = (index * 0.618034) % 1, 0.6 + 0.4 * (index % 2), 0.95 - 0.15 * (index % 3)
        red, green, blue = colorsys.hsv_to_rgb(hue, saturation, value)
        colours.append((round(255 * red), round(255 * green), round(255 * blue)))
    return colours


def colour_map(seg_map: np.ndarray, palette: Sequence[Sequence[int]]) -> np.ndarray:
    """Colours of a segmentation map.

    Args:
        seg_map: (H, W) uint8, indices of classes; what is no class becomes black.
        palette: RGB per class.

    Returns:
        (H, W, 3) uint8, RGB.
    """
    table = np.tile(np.array(_NOTHING, np.uint8), (256, 1))
    table[: len(palette)] = np.array(palette, np.uint8)
    return table[seg_map]


def overlay(image: np.ndarray, seg_map: np.ndarray, palette: Sequence[Sequence[int]]) -> np.ndarray:
    """Picture with the colours of its segmentation map laid over it; where there is no class, the picture alone.

    Args:
        image: (H, W, 3) uint8, RGB.
        seg_map: (H, W) uint8.
        palette: RGB per class.

    Returns:
        (H, W, 3) uint8, RGB.
    """
    mixed = Image.blend(Image.fromarray(image), Image.fromarray(colour_map(seg_map, palette)), OPACITY)
    return np.where((seg_map < len(palette))[..., None], np.asarray(mixed), image)


def with_legend(
    image: np.ndarray, seg_map: np.ndarray, classes: Sequence[str], palette: Sequence[Sequence[int]]
) -> np.ndarray:
    """Picture, at its own size, with a panel to the right that names the colours, most frequent class first.

    Args:
        image: (H, W, 3) uint8, RGB.
        seg_map: (H, W) uint8, whose classes are named with their share of the pixels.
        classes: names.
        palette: RGB per class.

    Returns:
        (H', W', 3) uint8, H' >= H, W' > W.
    """
    entries = _legend_entries(seg_map, classes, palette)
    size = int(np.clip(image.shape[0] / 24, 12, 60))
    font, line = ImageFont.load_default(size=size), int(1.5 * size)
    width = int(max(font.getlength(text) for _, text in entries) + 3 * line)
    rows = max(1, image.shape[0] // line - 1)  # entries in a column
    columns = -(-len(entries) // rows)
    canvas = Image.new('RGB', (image.shape[1] + columns * width, max(image.shape[0], 2 * line)), _PAPER)
    canvas.paste(Image.fromarray(image), (0, 0))
    draw = ImageDraw.Draw(canvas)
    for index, (colour, text) in enumerate(entries):
        x = image.shape[1] + (index // rows) * width + line // 2
        y = (index % rows) * line + line // 2
        draw.rectangle((x, y, x + line, y + line - 4), fill=colour, outline=_INK)
        draw.text((x + 1.5 * line, y - 1), text, fill=_INK, font=font)
    return np.asarray(canvas)


def comparison(
    image: np.ndarray,
    annotation: np.ndarray,
    prediction: np.ndarray,
    classes: Sequence[str],
    palette: Sequence[Sequence[int]],
) -> np.ndarray:
    """Annotation to the left, prediction to the right, both over the picture, and a legend of both.

    Small pictures are enlarged to be seen.

    Args:
        image: (H, W, 3) uint8, RGB.
        annotation, prediction: (H, W) uint8.
        classes: names.
        palette: RGB per class.
    """
    factor = enlargement(image.shape[0])
    image, annotation, prediction = (
        part.repeat(factor, axis=0).repeat(factor, axis=1) for part in (image, annotation, prediction)
    )
    left, right = (overlay(image, seg_map, palette) for seg_map in (annotation, prediction))
    gap = np.full((image.shape[0], max(2, image.shape[1] // 64), 3), 255, np.uint8)
    both = np.concatenate([annotation, prediction], axis=1)
    return with_legend(np.concatenate([left, gap, right], axis=1), both, classes, palette)


def _legend_entries(
    seg_map: np.ndarray, classes: Sequence[str], palette: Sequence[Sequence[int]]
) -> list[tuple[tuple[int, int, int], str]]:
    """Colour and text of every class that occurs."""
    counts = np.bincount(seg_map.ravel(), minlength=256)[: len(classes)]
    present = [int(label) for label in np.argsort(-counts, kind='stable') if counts[label]]
    entries = []
    for label in present:
        red, green, blue = map(int, palette[label])
        entries.append(((red, green, blue), f'{classes[label].strip()} {100 * counts[label] / seg_map.size:.1f} %'))
    return entries or [(_NOTHING, 'no class')]
