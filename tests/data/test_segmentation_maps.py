"""Segmentation maps: what is accepted, and what is refused with a name and a way out."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from effformer_dense.data.segmentation_maps import (
    check_segmentation_map,
    read_segmentation_map,
    to_class_indices,
    to_segmentation_map,
)


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
    assert np.array_equal(read_segmentation_map(grey), labels)
    assert np.array_equal(read_segmentation_map(tmp_path / 'palette.png'), labels), 'indices, not colours'
    assert np.array_equal(read_segmentation_map(deep), labels.astype(int) + 300), '16 bits do not wrap around'


@pytest.mark.parametrize('mode', ['RGB', 'RGBA', 'LA'])
def test_colours_are_refused(mode: str, tmp_path: Path) -> None:
    Image.new(mode, (5, 4)).save(tmp_path / 'x.png')
    with pytest.raises(ValueError, match=rf'x\.png: a picture of mode {mode}, .* turned into indices'):
        read_segmentation_map(tmp_path / 'x.png')


def test_broken_files_are_named(tmp_path: Path) -> None:
    path = _save(tmp_path / 'x.png', np.zeros((64, 64), np.uint8))
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ValueError, match=r'x\.png: the PNG data is truncated'):
        read_segmentation_map(path)
    path.write_bytes(b'no picture at all')
    with pytest.raises(ValueError, match=r'x\.png: no picture of a format that is read'):
        read_segmentation_map(path)
    with pytest.raises(ValueError, match=r'gone\.png: cannot be read'):
        read_segmentation_map(tmp_path / 'gone.png')


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
        check_segmentation_map('x.png', labels, 150, first_label)


def test_last_class_and_unlabelled_pixels_are_fine() -> None:
    check_segmentation_map('x.png', np.array([[0, 1, 150]]), 150, first_label=1)
    check_segmentation_map('x.png', np.array([[0, 149, 255]]), 150, first_label=0)


def test_numbers_of_files_and_of_classes() -> None:
    ade = np.array([[0, 1, 150]])
    indices = to_class_indices(ade, first_label=1)
    assert indices.tolist() == [[255, 0, 149]] and indices.dtype == np.uint8
    assert to_segmentation_map(indices[:, 1:], dict(reduce_zero_label=True)).tolist() == [[1, 150]]
    assert to_class_indices(np.array([[0, 255]]), first_label=0).tolist() == [[0, 255]]
    assert to_segmentation_map(np.array([[0, 5]]), {}).tolist() == [[0, 5]]


def test_chosen_classes_keep_the_numbers_of_their_files() -> None:
    """A config that takes sky (3 in the files) and tree (5) predicts 0 and 1."""
    label_map = {0: 255, 1: 255, 2: 0, 3: 255, 4: 1}
    meta = dict(reduce_zero_label=True, label_map=label_map)
    assert to_segmentation_map(np.array([[0, 1]]), meta).tolist() == [[3, 5]]


@pytest.mark.parametrize('bits', [1, 2, 4, 8])
def test_grey_of_few_bits_is_not_stretched(bits: int, tmp_path: Path) -> None:
    """Pillow fills 8 bits: 1 of 4 bits would come out as 17."""
    top = min(2**bits - 1, 9)
    labels = np.arange(64).reshape(8, 8) % (top + 1)
    (tmp_path / 'x.png').write_bytes(_grey_png(labels, bits))
    assert np.array_equal(read_segmentation_map(tmp_path / 'x.png'), labels)


def _grey_png(labels: np.ndarray, bits: int) -> bytes:
    """By the book (PNG specification, section 11.2): no library here writes 2 and 4 bits."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))

    height, width = labels.shape
    digits = [''.join(f'{value:0{bits}b}' for value in row) for row in labels]
    rows = b''.join(b'\0' + int(row, 2).to_bytes(width * bits // 8, 'big') for row in digits)
    header = struct.pack('>IIBBBBB', width, height, bits, 0, 0, 0, 0)
    parts = (chunk(b'IHDR', header), chunk(b'IDAT', zlib.compress(rows)), chunk(b'IEND', b''))
    return b'\x89PNG\r\n\x1a\n' + b''.join(parts)
