"""The build of the C++: made where there is a compiler, refused where it is old, and not missed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from effformer_dense.native import builds
from effformer_dense.native.library import SWITCH, library, open_library

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(not builds.builds(), reason='nothing is compiled for this kind of machine')


def _build(folder: Path, compiler: str | None = None) -> list[Path]:
    """Build in a copy of what the build needs, and return what was made."""
    for name in ('setup.py', 'pyproject.toml', 'README.md', 'LICENSE'):
        shutil.copy(ROOT / name, folder)
    shutil.copytree(
        builds.HERE, folder / 'effformer_dense/native', ignore=shutil.ignore_patterns('*.so', '__pycache__')
    )
    environment = {**os.environ, **({} if compiler is None else {'CC': compiler, 'CXX': compiler})}
    command = [sys.executable, 'setup.py', '--quiet', 'build_ext', '--inplace']
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
    return sorted((folder / 'effformer_dense/native').glob('*.so'))


@pytest.mark.slow
@pytest.mark.skipif(shutil.which('g++') is None, reason='there is no g++')
def test_builds_and_knows_its_sources(tmp_path: Path) -> None:
    made = _build(tmp_path)
    assert [path.name.split('.')[0] for path in made] == sorted(builds.builds())
    opened = open_library(made[0])
    assert opened.attention_sources() == builds.sources_sum()
    # Whoever changes the sources, and does not install again, is told.
    newer = tmp_path / 'newer'
    shutil.copytree(builds.HERE, newer)
    (newer / 'vectors.h').write_text('// other\n')
    assert builds.sources_sum(newer) != opened.attention_sources()


@pytest.mark.slow
def test_installs_without_a_compiler(tmp_path: Path) -> None:
    assert _build(tmp_path, compiler=str(tmp_path / 'no-such-compiler')) == []


def test_old_builds_are_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    if library() is None:
        pytest.skip('the C++ is not compiled here')
    monkeypatch.setattr('effformer_dense.native.library.sources_sum', lambda: 1)
    with pytest.warns(UserWarning, match=r'_attention_.* is not used.*make setup'):
        assert library.__wrapped__() is None


def test_can_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SWITCH, '0')
    assert library.__wrapped__() is None
