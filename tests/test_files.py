"""Files that appear together or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from effformer_dense.files import write_together


def _model(text: str, path: Path) -> None:
    """A format of two files, one of them a folder."""
    path.mkdir()
    (path / 'graph').write_text(text)
    path.with_suffix('.bin').write_text(f'{text} weights')


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
