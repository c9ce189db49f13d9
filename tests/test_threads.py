"""OpenMP variables: set before torch is imported, unless the user has; cores are counted as the system grants them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from effformer_dense import threads
from effformer_dense.threads import available_cores, granted_cores, share_cores


@pytest.fixture
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, '_cores_by_affinity', lambda: 8)


def _system(root: Path, groups: str, **files: str) -> Path:
    """A file system with control groups; of file names, ``__`` stands for a slash and ``_dot_`` for a dot."""
    (root / 'proc/self').mkdir(parents=True)
    (root / 'proc/self/cgroup').write_text(groups)
    for name, text in files.items():
        path = root / 'sys/fs/cgroup' / name.replace('__', '/').replace('_dot_', '.')
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def _version_1(quota: str) -> dict[str, str]:
    return {'cpu__c__cpu_dot_cfs_quota_us': quota, 'cpu__c__cpu_dot_cfs_period_us': '100000'}


@pytest.mark.parametrize(
    ('groups', 'files', 'cores'),
    [
        ('0::/a/b\n', {'a__b__cpu_dot_max': '300000 100000\n'}, 3),
        ('0::/a/b\n', {'a__b__cpu_dot_max': 'max 100000\n', 'a__cpu_dot_max': '150000 100000\n'}, 2),
        ('0::/a/b\n', {'a__b__cpu_dot_max': '20000 100000\n'}, 1),
        ('0::/outside/of/it\n', {'cpu_dot_max': '400000 100000\n'}, 4),  # a container without a namespace of its own
        ('0::/\n', {'cpu_dot_max': '6400000 100000\n'}, 8),
        ('0::/\n', {'cpu_dot_max': 'max 100000\n'}, 8),
        ('0::/\n', {'cpu_dot_max': 'rubbish\n'}, 8),
        ('3:memory:/m\n4:cpu,cpuacct:/c\n', _version_1('200000'), 2),
        ('4:cpu:/c\n', _version_1('-1'), 8),
        ('3:memory:/c\n', _version_1('200000'), 8),
        ('', {}, 8),
    ],
)
def test_cores_by_quota(groups: str, files: dict[str, str], cores: int, tmp_path: Path, eight_cores: None) -> None:
    assert available_cores(_system(tmp_path, groups, **files)) == cores


def test_systems_without_control_groups(tmp_path: Path, eight_cores: None) -> None:
    assert available_cores(tmp_path) == 8


def test_grants_are_told_only_where_they_are_less_than_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, eight_cores: None
) -> None:
    quota = _system(tmp_path / 'quota', '0::/\n', cpu_dot_max='300000 100000\n')
    monkeypatch.setattr(threads.os, 'cpu_count', lambda: 8)
    assert granted_cores(quota) == 3 and granted_cores(tmp_path / 'none') is None
    monkeypatch.setattr(threads.os, 'cpu_count', lambda: 16)
    assert granted_cores(tmp_path / 'none') == 8, 'by affinity'


@pytest.mark.parametrize('name', ['OMP_WAIT_POLICY', 'GOMP_SPINCOUNT', 'KMP_BLOCKTIME'])
def test_what_the_user_has_set_stays(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, 'available_cores', lambda: 1)
    environment = {name: 'ACTIVE', 'OMP_NUM_THREADS': '7'}
    share_cores(environment)
    assert environment == {name: 'ACTIVE', 'OMP_NUM_THREADS': '7'}


def test_threads_are_counted_only_where_torch_would_take_too_many(
    monkeypatch: pytest.MonkeyPatch, eight_cores: None
) -> None:
    for cores, expected in ((8, {}), (3, {'OMP_NUM_THREADS': '3'})):
        monkeypatch.setattr(threads, 'available_cores', lambda cores=cores: cores)
        environment: dict[str, str] = {}
        share_cores(environment)
        assert environment == {'OMP_WAIT_POLICY': 'PASSIVE', 'GOMP_SPINCOUNT': '1000', **expected}


SCRIPT = """
import os, sys
sys.argv = ['effdense', 'infer', '--help']
from effformer_dense.commands import cli, infer
assert 'torch' not in sys.modules and 'OMP_WAIT_POLICY' not in os.environ
say = lambda *_: print(os.environ['OMP_WAIT_POLICY'], os.environ['GOMP_SPINCOUNT'], 'torch' in sys.modules)
cli.parse_and_call = say
cli.effdense()
"""


def test_commands_set_them_before_torch_is_there() -> None:
    environment = {'PATH': '', 'PYTHONPATH': str(Path(threads.__file__).parents[1])}
    done = subprocess.run([sys.executable, '-c', SCRIPT], capture_output=True, text=True, env=environment)
    assert done.stdout.split() == ['PASSIVE', '1000', 'False'], done.stderr
