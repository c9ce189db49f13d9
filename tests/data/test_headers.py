"""Sizes out of headers, within a limit that is nobody else's."""

from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import mmcv
import numpy as np
import pytest
from PIL import Image

from effformer_dense.data.headers import BrokenPictureError, decoded, read_header
from effformer_dense.data.segmentation_maps import read_segmentation_map, read_segmentation_map_of
from effformer_dense.errors import UserError

from .bombs import png_bomb

FORMATS = ('jpg', 'png', 'bmp', 'tif', 'webp', 'ppm')


def _picture(path: Path, orientation: int = 1) -> Path:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new('RGB', (48, 32)).save(path, exif=exif)
    return path


@pytest.mark.parametrize('suffix', FORMATS)
@pytest.mark.parametrize('orientation', [1, 3, 6])
def test_the_size_is_that_of_the_decoded_picture(suffix: str, orientation: int, tmp_path: Path) -> None:
    path = _picture(tmp_path / f'a.{suffix}', orientation)
    header = read_header(path, whole=True)
    assert (header.height, header.width) == mmcv.imread(str(path)).shape[:2]
    assert read_header(path.read_bytes()) == header, 'from its bytes as well'


@pytest.mark.parametrize('suffix', FORMATS)
def test_the_name_does_not_decide_on_the_format(suffix: str, tmp_path: Path) -> None:
    path = _picture(tmp_path / f'a.{suffix}').rename(tmp_path / 'a.dat')
    assert read_header(path).width == 48
    with decoded(path) as image:
        assert image.convert('L').size == (48, 32)


def test_other_formats_are_not_tried(tmp_path: Path) -> None:
    Image.new('L', (48, 32)).save(tmp_path / 'a.png', format='GIF')
    with pytest.raises(BrokenPictureError, match='no picture of a format that is read here: JPEG, PNG, BMP'):
        read_header(tmp_path / 'a.png')


def test_pillows_own_limit_is_neither_heeded_nor_changed(tmp_path: Path) -> None:
    """It is one for the whole process, and threads would take it from each other."""
    bomb, limit = png_bomb(tmp_path / 'bomb.png', 20_000, 20_000), Image.MAX_IMAGE_PIXELS

    def width(_: int) -> tuple[int, int | None]:
        with decoded(bomb, 10**9) as image:
            return image.width, Image.MAX_IMAGE_PIXELS

    with warnings.catch_warnings(), ThreadPoolExecutor(4) as pool:
        warnings.simplefilter('error')  # Pillow's, of a possible bomb
        assert set(pool.map(width, range(40))) == {(20_000, limit)}
        with pytest.raises(
            BrokenPictureError, match='20000 x 20000 px; up to 178,956,970 pixels are read: raise --max'
        ):
            read_header(bomb)


def test_segmentation_maps_of_too_many_pixels_are_named(tmp_path: Path) -> None:
    bomb = png_bomb(tmp_path / 'bomb.png', 50_000, 50_000)
    with pytest.raises(UserError, match=r'bomb\.png: 50000 x 50000 px; up to 178,956,970 pixels .* raise --max-pixels'):
        read_segmentation_map(bomb)
    Image.fromarray(np.zeros((32, 48), np.uint8)).save(tmp_path / 'a.png')
    with pytest.raises(UserError, match='up to 1,535 pixels'):
        read_segmentation_map(tmp_path / 'a.png', max_pixels=1535)


def test_a_map_may_be_as_large_as_its_picture(tmp_path: Path) -> None:
    """A picture that a raised limit let through is loaded without that limit, in processes that do not know it."""
    Image.fromarray(np.zeros((32, 48), np.uint8)).save(tmp_path / 'a.png')
    seg_map = read_segmentation_map_of('a.jpg', (32, 48), tmp_path / 'a.png', 2, 0, max_pixels=10)
    assert seg_map.shape == (32, 48)
    with pytest.raises(UserError, match='up to 1,535 pixels'):
        read_segmentation_map_of('a.jpg', (32, 47), tmp_path / 'a.png', 2, 0, max_pixels=1535)
