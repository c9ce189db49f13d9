"""Files that appear together or not at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from effformer_dense.files import write_png, write_together


def _model(text: str, path: Path) -> None:
    """A format of two files, one of them a folder."""
    path.mkdir()
    (path / 'graph').write_text(text)
    path.with_suffix('.bin').write_text(f'{text} weights')


def test_pngs_hold_every_pixel_and_are_compressed(tmp_path: Path):
    rng = np.random.default_rng(0)
    for shape in ((40, 50), (40, 50, 3)):
        image = np.repeat(rng.integers(0, 256, shape, dtype=np.uint8), 8, axis=1)
        write_png(tmp_path / 'image.png', image)
        assert np.array_equal(np.asarray(Image.open(tmp_path / 'image.png')), image)
        assert (tmp_path / 'image.png').stat().st_size < image.nbytes / 2


def test_all_parts_appear(tmp_path: Path):
    path = tmp_path / 'deep' / 'net.model'
    for text in ('first', 'second'):  # over what is there
        write_together(path, lambda scratch, text=text: _model(text, scratch))
        assert (path / 'graph').read_text() == text
        assert path.with_suffix('.bin').read_text() == f'{text} weights'
        assert sorted(entry.name for entry in path.parent.iterdir()) == ['net.bin', 'net.model']


def test_nothing_appears_if_writing_fails(tmp_path: Path):
    def write(scratch: Path) -> None:
        _model('half', scratch)
        raise RuntimeError('the disk is full')

    write_together(tmp_path / 'net.model', lambda scratch: _model('whole', scratch))
    with pytest.raises(RuntimeError, match='disk is full'):
        write_together(tmp_path / 'net.model', write)
    assert (tmp_path / 'net.model' / 'graph').read_text() == 'whole'
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ['net.bin', 'net.model']
