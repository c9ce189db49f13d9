"""Label PNGs: what is accepted, and what is refused with a name and a way out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from effformer_dense.data.labels import check_labels, read_labels, to_class_indices, to_file_labels


def _save(path: Path, array: np.ndarray, **options) -> Path:
    Image.fromarray(array).save(path, **options)
    return path


def test_one_channel_of_any_kind_is_read(tmp_path: Path) -> None:
    labels = np.arange(12, dtype=np.uint8).reshape(3, 4)
    grey = _save(tmp_path / 'grey.png', labels)
    palette = Image.fromarray(labels, mode='P')
    palette.putpalette([value for index in range(256) for value in (255 - index, index, 7)])
    palette.save(tmp_path / 'palette.png')
    deep = _save(tmp_path / 'deep.png', labels.astype(np.uint16) + 300)
    assert np.array_equal(read_labels(grey), labels)
    assert np.array_equal(read_labels(tmp_path / 'palette.png'), labels), 'indices, not colours'
    assert np.array_equal(read_labels(deep), labels.astype(int) + 300), '16 bits do not wrap around'


@pytest.mark.parametrize('mode', ['RGB', 'RGBA', 'LA'])
def test_colours_are_refused(mode: str, tmp_path: Path) -> None:
    Image.new(mode, (5, 4)).save(tmp_path / 'x.png')
    with pytest.raises(ValueError, match=rf'x\.png: a picture of mode {mode}, .* turned into indices'):
        read_labels(tmp_path / 'x.png')


def test_broken_files_are_named(tmp_path: Path) -> None:
    path = _save(tmp_path / 'x.png', np.zeros((64, 64), np.uint8))
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ValueError, match=r'x\.png: the PNG data is truncated'):
        read_labels(path)
    path.write_bytes(b'no picture at all')
    with pytest.raises(ValueError, match=r'x\.png: no picture that Pillow can decode'):
        read_labels(path)
    with pytest.raises(ValueError, match=r'gone\.png: cannot be read'):
        read_labels(tmp_path / 'gone.png')


@pytest.mark.parametrize(
    ('value', 'first_label', 'message'),
    [
        (151, 1, 'x.png: label 151 in 2 pixels; labels go from 1 to 150, and 0 is unlabelled'),
        (255, 1, 'label 255 in 2 pixels'),
        (150, 0, 'label 150 in 2 pixels; labels go from 0 to 149, and 255 is unlabelled'),
        (1000, 0, 'label 1000'),
    ],
)
def test_values_of_no_class_are_refused(value: int, first_label: int, message: str) -> None:
    labels = np.zeros((2, 3), int)
    labels[:, 1] = value
    with pytest.raises(ValueError, match=message):
        check_labels('x.png', labels, 150, first_label)


def test_last_class_and_unlabelled_pixels_are_fine() -> None:
    check_labels('x.png', np.array([[0, 1, 150]]), 150, first_label=1)
    check_labels('x.png', np.array([[0, 149, 255]]), 150, first_label=0)


def test_numbers_of_files_and_of_classes() -> None:
    ade = np.array([[0, 1, 150]])
    indices = to_class_indices(ade, first_label=1)
    assert indices.tolist() == [[255, 0, 149]] and indices.dtype == np.uint8
    assert to_file_labels(indices[:, 1:], first_label=1).tolist() == [[1, 150]]
    assert to_class_indices(np.array([[0, 255]]), first_label=0).tolist() == [[0, 255]]
    assert to_file_labels(np.array([[0, 5]]), first_label=0).tolist() == [[0, 5]]
