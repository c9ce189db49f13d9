"""Colours over pictures: the right ones, in the right places, at the right size."""

from __future__ import annotations

import numpy as np
import pytest

from effformer_dense.drawing import distinct_colours
from effformer_dense.results.overlays import (
    OPACITY,
    colour_map,
    comparison,
    overlay,
    with_legend,
)
from effformer_dense.segmentation.results import drawable

PALETTE = [(255, 0, 0), (0, 255, 0), (0, 0, 255)]
CLASSES = ('wall', 'sky', 'tree')


def test_colours_of_classes_and_black_for_none() -> None:
    seg_map = np.array([[0, 2], [1, 255]], np.uint8)
    assert colour_map(seg_map, PALETTE).tolist() == [[[255, 0, 0], [0, 0, 255]], [[0, 255, 0], [0, 0, 0]]]


def test_overlay_mixes_and_leaves_what_has_no_class() -> None:
    image = np.full((2, 2, 3), 100, np.uint8)
    seg_map = np.array([[0, 0], [1, 255]], np.uint8)
    mixed = overlay(image, seg_map, PALETTE)
    assert mixed[1, 1].tolist() == [100, 100, 100]
    expected = (1 - OPACITY) * 100 + OPACITY * np.array([0, 255, 0])
    assert np.abs(mixed[1, 0] - expected).max() <= 1
    assert image.max() == image.min() == 100, 'the picture itself is not touched'


@pytest.mark.parametrize('size', [(40, 30), (480, 640)])
def test_legend_is_beside_the_picture_and_names_what_is_there(size: tuple[int, int]) -> None:
    seg_map = np.zeros(size, np.uint8)
    seg_map[: size[0] // 4] = 2
    image = colour_map(seg_map, PALETTE)
    drawn = with_legend(image, seg_map, CLASSES, PALETTE)
    assert np.array_equal(drawn[: size[0], : size[1]], image), 'the picture keeps its pixels'
    panel = drawn[:, size[1] :].reshape(-1, 3)
    seen = {tuple(colour) for colour in panel.tolist()}
    assert (255, 0, 0) in seen and (0, 0, 255) in seen, 'classes that are there'
    assert (0, 255, 0) not in seen, 'and no others'


def test_legend_of_many_classes_goes_on_in_another_column() -> None:
    seg_map = np.arange(100, dtype=np.uint8).repeat(10).reshape(10, 100)
    palette = [(index, 255 - index, 7) for index in range(100)]
    drawn = with_legend(colour_map(seg_map, palette), seg_map, [f'class {index}' for index in range(100)], palette)
    seen = {tuple(colour) for colour in drawn[:, 100:].reshape(-1, 3).tolist()}
    assert seen.issuperset(palette)


def test_nothing_recognised_is_still_a_picture() -> None:
    seg_map = np.full((50, 50), 255, np.uint8)
    assert with_legend(colour_map(seg_map, PALETTE), seg_map, CLASSES, PALETTE).shape[1] > 50


def test_comparison_has_both_sides_enlarged() -> None:
    image = np.full((100, 60, 3), 90, np.uint8)
    left, right = np.zeros((100, 60), np.uint8), np.ones((100, 60), np.uint8)
    drawn = comparison(image, left, right, CLASSES, PALETTE)
    assert drawn.shape[0] > 500 and drawn.shape[1] > 2 * 300
    assert drawn[250, 100].argmax() == 0 and drawn[250, 450].argmax() == 1


def test_made_colours_differ() -> None:
    colours = distinct_colours(150)
    assert len(set(colours)) == 150 and all(0 <= part <= 255 for colour in colours for part in colour)


def test_classes_and_colours_must_suffice() -> None:
    meta = dict(classes=CLASSES, palette=PALETTE)
    assert drawable(meta, 3) == meta
    assert len(drawable(dict(classes=CLASSES), 3)['palette']) == 3
    with pytest.raises(ValueError, match=r'classes has 3 entries, and the model predicts 4 classes'):
        drawable(meta, 4)
    with pytest.raises(ValueError, match=r'palette has 2 entries, and the model predicts 3 classes'):
        drawable(dict(classes=CLASSES, palette=PALETTE[:2]), 3)
