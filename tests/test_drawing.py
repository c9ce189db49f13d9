"""Objects on pictures: boxes, masks and names where they belong, at any size, whatever the names are."""

from __future__ import annotations

import numpy as np
import pytest

from effformer_dense.drawing import Instances, draw_instances, enlargement, fitting, font_for, lacking, panels

RED, BLUE = (255, 0, 0), (0, 0, 255)


def _box(*sides: float, **fields: np.ndarray) -> Instances:
    return Instances(np.array([sides], float), np.array([0]), **fields)


def test_box_mask_and_name_have_one_colour() -> None:
    image = np.full((600, 800, 3), 100, np.uint8)
    mask = np.zeros((1, 600, 800), bool)
    mask[0, 250:350, 300:500] = True
    drawn = draw_instances(image, _box(200, 200, 600, 400, masks=mask), ['cat'], [RED])
    assert drawn.shape == image.shape
    for row, column in ((200, 400), (400, 400), (300, 200), (300, 600)):
        assert drawn[row, column].tolist() == list(RED), 'the four sides'
    inside = drawn[300, 400].astype(int)
    assert inside[0] > 150 and 40 < inside[1] < 70 and inside[1] == inside[2], 'translucent'
    assert drawn[220, 220].tolist() == [100, 100, 100], 'inside the box, outside the mask'
    assert (drawn[185:199, 205:225] == RED).all(axis=2).any(), 'the name stands above the box on its colour'
    assert image.max() == 100, 'the picture itself is not touched'


def test_small_objects_are_not_covered_by_large_ones() -> None:
    masks = np.zeros((2, 500, 500), bool)
    masks[0, 240:260, 240:260] = True
    masks[1] = True
    instances = Instances(np.array([[240, 240, 260, 260], [0, 0, 500, 500]], float), np.array([0, 1]), masks=masks)
    drawn = draw_instances(np.zeros((500, 500, 3), np.uint8), instances, ['a', 'b'], [RED, BLUE]).astype(int)
    assert drawn[252, 252, 0] > drawn[252, 252, 2], 'the small one is on top'


def test_scores_choose() -> None:
    instances = Instances(np.zeros((3, 4)), np.array([0, 1, 2]), np.array([0.2, 0.5, 0.9]), np.ones((3, 4, 4), bool))
    chosen = instances.above(0.5)
    assert chosen.labels.tolist() == [1, 2] and chosen.masks is not None and len(chosen.masks) == 2


@pytest.mark.parametrize('factor', [8, 0.5])
def test_objects_are_resized_with_their_picture(factor: float) -> None:
    mask = np.zeros((1, 60, 100), bool)
    mask[0, 20:40, 20:40] = True
    image, instances = _box(20, 20, 40, 40, masks=mask).resized(np.zeros((60, 100, 3), np.uint8), factor)
    assert image.shape == (60 * factor, 100 * factor, 3)
    assert instances.boxes.tolist() == [[20 * factor, 20 * factor, 40 * factor, 40 * factor]]
    assert instances.masks is not None and instances.masks.shape == (1, *image.shape[:2])
    assert instances.masks.sum() == 400 * factor**2


@pytest.mark.parametrize('size', [(32, 60_000), (60_000, 32), (32, 32), (4000, 3000)])
def test_drawn_pictures_stay_within_bounds(size: tuple[int, int]) -> None:
    factor = enlargement(*size)
    assert factor == 1 or (factor * size[1] <= 4096 and factor * size[0] <= 1000)


@pytest.mark.parametrize('name', ['a$b^_$c', r'\frac{1}{0}', '<b>&', 'Straße', '自転車', 'x' * 5000, '', 'two\nlines'])
def test_names_are_drawn_as_they_stand(name: str) -> None:
    drawn = draw_instances(np.zeros((480, 640, 3), np.uint8), _box(100, 100, 300, 300), [name], [RED])
    other = draw_instances(np.zeros((480, 640, 3), np.uint8), _box(100, 100, 300, 300), ['?'], [RED])
    assert not np.array_equal(drawn, other)


def test_dollars_take_room_for_themselves() -> None:
    font = font_for(['a$b$c'], 20)
    assert fitting('a$b$c', font, 1000) == 'a$b$c'
    assert fitting('a long name', font, 60).endswith('...') and font.getlength(fitting('a long name', font, 60)) <= 60


@pytest.mark.parametrize(
    'box', [(-50, -50, 900, 900), (700, 500, 100, 100), (np.nan, 0, 10, 10), (1e30, 0, -1e30, 5), (639, 479, 640, 480)]
)
def test_odd_boxes_are_drawn_inside_the_picture(box: tuple[float, ...]) -> None:
    assert draw_instances(np.zeros((480, 640, 3), np.uint8), _box(*box), ['a'], [RED]).shape == (480, 640, 3)


@pytest.mark.parametrize('text', ['Fußgänger', 'žlutý kůň', 'кошка', 'γάτα'])
def test_letters_beyond_ascii_have_pictures(text: str) -> None:
    assert lacking(font_for([text], 16), text) == set()
    assert lacking(font_for(['cat'], 16), text), 'the font for ASCII has none for them'


def test_a_crowd_of_names_hides_no_object() -> None:
    left = np.arange(20, 620, 24)
    boxes = np.stack([left, np.full_like(left, 200), left + 10, np.full_like(left, 212)], axis=1).astype(float)
    labels = np.zeros(len(boxes), int)
    drawn = draw_instances(np.zeros((480, 640, 3), np.uint8), Instances(boxes, labels), ['a long name'], [RED])
    for box in boxes.astype(int):
        inside = drawn[box[1] + 2 : box[3] - 1, box[0] + 2 : box[2] - 1]
        assert (inside == 0).mean() > 0.5
    above = (drawn[180:198] == RED).all(axis=2).any(axis=0)
    assert 60 < above.sum() < 600 and not above.all(), 'some are named, side by side'
    alone = draw_instances(np.zeros((480, 640, 3), np.uint8), Instances(boxes[:1], labels[:1]), ['x' * 99], [RED])
    assert (alone[180:198] == RED).all(axis=2).any(), 'the only one of its class is named in any case'


def test_panels_have_their_captions_above() -> None:
    left, right = np.full((300, 400, 3), 9, np.uint8), np.full((300, 400, 3), 7, np.uint8)
    sheet = panels([left, right], ['ground truth', 'prediction'])
    assert np.array_equal(sheet[-300:, :400], left) and np.array_equal(sheet[-300:, -400:], right)
    bar = sheet[:-300]
    assert (bar[:, :400] < 100).any() and (bar[:, -400:] < 100).any(), 'text on both'
