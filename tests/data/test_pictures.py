"""Pictures that work, and pictures that are refused by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from effformer_dense.data.finding import find_pictures
from effformer_dense.data.pictures import read_picture
from effformer_dense.errors import UserError

from .bombs import png_bomb


@pytest.fixture
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)


def test_colour_is_bgr(tmp_path: Path, pixels: np.ndarray) -> None:
    Image.fromarray(pixels).save(tmp_path / 'a.png')
    assert np.array_equal(read_picture(tmp_path / 'a.png'), pixels[..., ::-1])


def test_grey_alpha_and_16_bit_simply_work(tmp_path: Path, pixels: np.ndarray) -> None:
    grey = pixels[..., 0]
    Image.fromarray(grey).save(tmp_path / 'grey.png')
    Image.fromarray(np.dstack([pixels, grey])).save(tmp_path / 'alpha.png')
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / '16bit.png')
    expected_grey = np.repeat(grey[..., None], 3, axis=2)
    assert np.array_equal(read_picture(tmp_path / 'grey.png'), expected_grey)
    assert np.array_equal(read_picture(tmp_path / 'alpha.png'), pixels[..., ::-1])
    assert np.array_equal(read_picture(tmp_path / '16bit.png'), expected_grey)


@pytest.mark.parametrize('suffix', ['jpg', 'png'])
@pytest.mark.parametrize('share', [0.3, 0.9, 0.99])
def test_truncated_pictures_are_refused(tmp_path: Path, pixels: np.ndarray, suffix: str, share: float) -> None:
    path = tmp_path / f'a.{suffix}'
    Image.fromarray(pixels).save(path)
    assert read_picture(path).shape == (48, 64, 3)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(ValueError, match=f'a.{suffix}: the (JPEG|PNG) data is truncated'):
        read_picture(path)


def test_progressive_jpeg_with_thumbnail_is_whole(tmp_path: Path, pixels: np.ndarray) -> None:
    path = tmp_path / 'a.jpg'
    Image.fromarray(pixels).save(path, progressive=True, comment=b'\xff\xd8\xff\xda thumbnail \xff\xd9')
    assert read_picture(path).shape == (48, 64, 3)
    data = path.read_bytes()
    path.write_bytes(data[:-40])
    with pytest.raises(ValueError, match='truncated'):
        read_picture(path)


@pytest.mark.parametrize(
    ('content', 'message'),
    [(b'', 'the file is empty'), (b'not a picture', 'no picture of a format that is read here: JPEG')],
)
def test_empty_and_foreign_files_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / 'a.jpg'
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_picture(path)


def test_small_pictures_are_refused_with_their_size(tmp_path: Path) -> None:
    Image.new('RGB', (31, 200)).save(tmp_path / 'a.png')
    with pytest.raises(ValueError, match='31 x 200 px; both sides must be at least 32 px'):
        read_picture(tmp_path / 'a.png')


def test_sources_are_a_file_a_folder_or_a_pattern(tmp_path: Path) -> None:
    for name in ('b.png', 'a.jpg', 'deep/c.jpeg', 'notes.txt'):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b'x')
    assert [p.name for p in find_pictures(str(tmp_path))] == ['a.jpg', 'b.png', 'c.jpeg']
    assert [p.name for p in find_pictures(str(tmp_path / '*.png'))] == ['b.png']
    assert find_pictures(str(tmp_path / 'a.jpg')) == [tmp_path / 'a.jpg']
    for wrong in ('notes.txt', '*.bmp', 'nowhere'):
        with pytest.raises(ValueError, match=wrong.replace('*', r'\*')):
            find_pictures(str(tmp_path / wrong))


def test_pictures_of_too_many_pixels_are_named(tmp_path: Path) -> None:
    """By the header: nothing of it is decoded."""
    bomb = png_bomb(tmp_path / 'bomb.png', 50_000, 50_000)
    message = r'bomb\.png: 50000 x 50000 px; up to 178,956,970 pixels are read: raise --max-pixels'
    with pytest.raises(UserError, match=message):
        read_picture(bomb)


def test_the_limit_is_an_option(tmp_path: Path, pixels: np.ndarray) -> None:
    Image.fromarray(pixels).save(tmp_path / 'a.png')
    assert read_picture(tmp_path / 'a.png', max_pixels=64 * 48).shape == (48, 64, 3)
    with pytest.raises(UserError, match=r'a\.png: 64 x 48 px; up to 3,071 pixels are read: raise --max-pixels'):
        read_picture(tmp_path / 'a.png', max_pixels=64 * 48 - 1)


def test_what_the_limit_allows_and_opencv_does_not_is_named(tmp_path: Path) -> None:
    bomb = png_bomb(tmp_path / 'bomb.png', 50_000, 50_000)
    with pytest.raises(UserError, match=r'bomb\.png: larger than OpenCV decodes'):
        read_picture(bomb, max_pixels=10**10)
