"""Pillow reads pictures as OpenCV does for PyTorch, and refuses the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from effformer_dense.data.pictures import read_picture
from effformer_dense.errors import UserError
from effformer_dense.runtime.reading import as_pixels, read_pixels
from tests.data.bombs import png_bomb

_ORIENTATION = 274


@pytest.fixture
def pixels() -> np.ndarray:
    """Smooth, so that decoders of JPEG agree to a level or two."""
    rows, columns = np.mgrid[:48, :64]
    return np.stack([rows * 5, columns * 3, rows + columns], -1).astype(np.uint8)


@pytest.mark.parametrize('suffix', ['jpg', 'png', 'bmp', 'tif', 'webp', 'ppm'])
def test_formats(tmp_path: Path, pixels: np.ndarray, suffix: str) -> None:
    path = tmp_path / f'a.{suffix}'
    Image.fromarray(pixels).save(path)
    assert np.abs(read_pixels(path).astype(int) - read_picture(path)[..., ::-1]).max() <= 1


@pytest.mark.parametrize('suffix', ['jpg', 'png', 'tif', 'webp'])
@pytest.mark.parametrize('orientation', range(1, 9))
def test_orientation(tmp_path: Path, pixels: np.ndarray, suffix: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[_ORIENTATION] = orientation
    path = tmp_path / f'a.{suffix}'
    Image.fromarray(pixels).save(path, exif=exif)
    expected = read_picture(path)[..., ::-1]
    found = read_pixels(path)
    assert found.shape == expected.shape and np.abs(found.astype(int) - expected).max() <= 1
    with Image.open(path) as image:
        assert np.array_equal(as_pixels(image), found)


def test_orientation_of_deep_pictures_and_by_nothing_but_exif(tmp_path: Path, pixels: np.ndarray) -> None:
    exif = Image.Exif()
    exif[_ORIENTATION] = 6
    deep = Image.fromarray(pixels[..., 0].astype(np.uint16) * 257)
    deep.save(tmp_path / 'deep.png', exif=exif)
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    Image.fromarray(pixels).save(tmp_path / 'xmp.jpg', xmp=xmp)
    for name in ('deep.png', 'xmp.jpg'):
        expected = read_picture(tmp_path / name)[..., ::-1]
        found = read_pixels(tmp_path / name)
        assert found.shape == expected.shape and np.abs(found.astype(int) - expected).max() <= 1, name


def test_modes(tmp_path: Path, pixels: np.ndarray) -> None:
    grey = pixels[..., 0]
    pictures = {
        'grey': Image.fromarray(grey),
        'alpha': Image.fromarray(np.dstack([pixels, grey])),
        '16bit': Image.fromarray(grey.astype(np.uint16) * 257),
        'palette': Image.fromarray(pixels).quantize(16),
        'bits': Image.fromarray(grey > 100),
    }
    for name, picture in pictures.items():
        picture.save(tmp_path / f'{name}.png')
        assert np.array_equal(read_pixels(tmp_path / f'{name}.png'), read_picture(tmp_path / f'{name}.png')[..., ::-1])


def test_alpha_of_tiff_is_on_black(tmp_path: Path, pixels: np.ndarray) -> None:
    Image.fromarray(np.dstack([pixels, pixels[..., 1]])).save(tmp_path / 'a.tif')
    found, expected = read_pixels(tmp_path / 'a.tif'), read_picture(tmp_path / 'a.tif')[..., ::-1]
    assert np.abs(found.astype(int) - expected).max() <= 1 and np.abs(found.astype(int) - pixels).max() > 20


def test_what_is_refused(tmp_path: Path, pixels: np.ndarray) -> None:
    Image.fromarray(pixels).save(tmp_path / 'a.jpg')
    (tmp_path / 'cut.jpg').write_bytes((tmp_path / 'a.jpg').read_bytes()[:-40])
    (tmp_path / 'empty.png').touch()
    (tmp_path / 'text.png').write_text('no picture')
    Image.new('RGB', (31, 200)).save(tmp_path / 'small.png')
    png_bomb(tmp_path / 'bomb.png', 50_000, 50_000)
    for name, message in (
        ('gone.png', 'cannot be read'),
        ('cut.jpg', 'the JPEG data is truncated'),
        ('empty.png', 'the file is empty'),
        ('text.png', 'no picture of a format that is read here'),
        ('small.png', '31 x 200 px; both sides must be at least 32 px'),
        ('bomb.png', '50000 x 50000 px; up to 178,956,970 pixels are read'),
    ):
        with pytest.raises(UserError, match=rf'{name}: {message}'):
            read_pixels(tmp_path / name)


def test_arrays(pixels: np.ndarray) -> None:
    assert as_pixels(pixels) is pixels
    for wrong in (pixels[..., 0], pixels.astype(float), pixels[..., :2], 5, pixels.tolist()):
        with pytest.raises(UserError, match='A picture is a path, a Pillow image or an array'):
            as_pixels(wrong)
    with pytest.raises(UserError, match='The picture: 64 x 20 px'):
        as_pixels(pixels[:20])
