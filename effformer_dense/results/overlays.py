"""Labels as colours: over the picture, as a map, with a legend of what is in it.

mmseg's ``SegLocalVisualizer`` draws too, but sorts a Python list of all pixels to place its captions, which takes
minutes and many GB at 4000 x 3000 px. Here it is one look-up per pixel.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from ..drawing import INK, PAPER, Colour, enlargement, fitting, font_for, panels

OPACITY = 0.6

#: Columns of a legend at most: a low picture with many classes gets a high legend, and not an endless one.
_MAX_COLUMNS = 3
#: A class's name in a legend is cut at this many times the size of the letters.
_MAX_NAME = 16

_NOTHING = (0, 0, 0)


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
    size = int(np.clip(image.shape[0] / 24, 12, 60))
    entries = _legend_entries(seg_map, classes, palette, size * _MAX_NAME)
    font, line = font_for([text for _, text in entries], size), int(1.5 * size)
    width = int(max(font.getlength(text) for _, text in entries) + 3 * line)
    rows = max(1, image.shape[0] // line - 1, -(-len(entries) // _MAX_COLUMNS))  # entries in a column
    columns = -(-len(entries) // rows)
    canvas = Image.new('RGB', (image.shape[1] + columns * width, max(image.shape[0], (rows + 1) * line)), PAPER)
    canvas.paste(Image.fromarray(image), (0, 0))
    draw = ImageDraw.Draw(canvas)
    for index, (colour, text) in enumerate(entries):
        x = image.shape[1] + (index // rows) * width + line // 2
        y = (index % rows) * line + line // 2
        draw.rectangle((x, y, x + line, y + line - 4), fill=colour, outline=INK)
        draw.text((x + 1.5 * line, y - 1), text, fill=INK, font=font)
    return np.asarray(canvas)


def comparison(
    image: np.ndarray,
    annotation: np.ndarray,
    prediction: np.ndarray,
    classes: Sequence[str],
    palette: Sequence[Sequence[int]],
) -> np.ndarray:
    """Ground truth to the left, prediction to the right, both over the picture, and a legend of both.

    Small pictures are enlarged to be seen.

    Args:
        image: (H, W, 3) uint8, RGB.
        annotation, prediction: (H, W) uint8.
        classes: names.
        palette: RGB per class.
    """
    factor = enlargement(*image.shape[:2])
    image, annotation, prediction = (
        part.repeat(factor, axis=0).repeat(factor, axis=1) for part in (image, annotation, prediction)
    )
    left, right = (overlay(image, seg_map, palette) for seg_map in (annotation, prediction))
    both = np.concatenate([annotation, prediction], axis=1)
    return with_legend(panels([left, right], ['ground truth', 'prediction']), both, classes, palette)


def _legend_entries(
    seg_map: np.ndarray, classes: Sequence[str], palette: Sequence[Sequence[int]], name_px: int
) -> list[tuple[Colour, str]]:
    """Colour and text of every class that occurs, its name cut to a width."""
    counts = np.bincount(seg_map.ravel(), minlength=256)[: len(classes)]
    present = [int(label) for label in np.argsort(-counts, kind='stable') if counts[label]]
    font = font_for(classes, name_px // _MAX_NAME)
    entries = []
    for label in present:
        red, green, blue = map(int, palette[label])
        name = fitting(str(classes[label]), font, name_px)
        entries.append(((red, green, blue), f'{name} {100 * counts[label] / seg_map.size:.1f} %'))
    return entries or [(_NOTHING, 'no class')]
