"""mmdet can be imported where nothing can be written beside it or at home."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pytest

from effformer_dense.config import numba_cache
from effformer_dense.config.numba_cache import VARIABLE, provide_numba_cache

pytestmark = pytest.mark.skipif(importlib.util.find_spec('imgaug') is None, reason='no imgaug, so no numba')


@pytest.fixture(autouse=True)
def _unset(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(VARIABLE, '')  # put back afterwards, whatever happens to it
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))


def _read_only(monkeypatch: pytest.MonkeyPatch, folders: tuple[str, ...]) -> None:
    """Nothing can be written below ``folders``; root, which tests may run as, could not be kept out by permissions."""
    usual = numba_cache._is_writable
    refused = lambda folder: not str(folder).startswith(folders) and usual(folder)  # noqa: E731
    monkeypatch.setattr(numba_cache, '_is_writable', refused)


def test_a_folder_is_made_where_numba_has_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _read_only(monkeypatch, (str(Path(importlib.util.find_spec('imgaug').origin).parent), str(tmp_path)))
    provide_numba_cache()
    assert Path(os.environ[VARIABLE]).is_dir()
    assert not any(Path(os.environ[VARIABLE]).iterdir())


@pytest.mark.parametrize('other', ['imgaug', 'home'])
def test_one_writable_place_is_enough(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, other: str) -> None:
    beside = str(Path(importlib.util.find_spec('imgaug').origin).parent)
    monkeypatch.setattr(
        numba_cache, '_is_writable', lambda folder: str(folder).startswith(beside) == (other == 'imgaug')
    )
    provide_numba_cache()
    assert os.environ[VARIABLE] == ''


def test_what_the_user_has_set_stays(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _read_only(monkeypatch, ('/',))
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    provide_numba_cache()
    assert os.environ[VARIABLE] == str(tmp_path)


def test_writable_is_what_can_be_written(tmp_path: Path) -> None:
    assert numba_cache._is_writable(tmp_path / 'to' / 'be' / 'made')
    assert not numba_cache._is_writable(Path('/proc/self/task/numba'))
    assert not any(tmp_path.iterdir())
