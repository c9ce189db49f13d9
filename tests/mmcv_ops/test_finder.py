"""Which ``mmcv._ext`` is found, in interpreters of their own with an mmcv of a few lines."""

from __future__ import annotations

import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

from tests.helpers import PROJECT_ROOT

from .interpreter import run

pytestmark = pytest.mark.slow  # an interpreter for each


def test_nothing_compiled_gets_the_stand_in_and_says_so_once(fake_mmcv: Path) -> None:
    code = 'import effformer_dense, mmcv.ops, mmcv._ext as ext; import mmcv.ops; print(ext.nms.__module__)'
    done = run(code, fake_mmcv.parent)
    lines = (done.stdout + done.stderr).splitlines()
    assert lines[-1] == 'effformer_dense.mmcv_ops.boxes', done.stderr
    assert sum('those of torchvision' in line and 'stand in' in line for line in lines) == 1
    done = run('import effformer_dense', fake_mmcv.parent)
    assert done.returncode == 0 and 'stand in' not in done.stdout + done.stderr, 'said before anybody needs an op'


@pytest.mark.parametrize('variable', ['RANK', 'SLURM_PROCID'])
def test_in_a_run_of_several_processes_one_says_so(fake_mmcv: Path, variable: str) -> None:
    code = f'import os; os.environ[{variable!r}] = "1"; import effformer_dense, mmcv.ops'
    done = run(code, fake_mmcv.parent)
    assert done.returncode == 0 and 'stand in' not in done.stdout + done.stderr


def test_compiled_ops_are_used_as_they_are(fake_mmcv: Path) -> None:
    """Any ``mmcv._ext`` that Python finds by itself; here one of Python."""
    (fake_mmcv / '_ext.py').write_text('def nms(): ...\nroi_align_forward = carafe_forward = nms')
    done = run('import effformer_dense, mmcv.ops, mmcv._ext as ext; print(ext.__file__)', fake_mmcv.parent)
    assert done.stdout.splitlines() == [str(fake_mmcv / '_ext.py')], done.stderr


OTHER_PYTHON = '.cpython-38-x86_64-linux-gnu.so'
CHECK = 'import effformer_dense; effformer_dense.mmcv_ops.check_mmcv()'


@pytest.mark.parametrize(
    ('suffix', 'reason'),
    [(EXTENSION_SUFFIXES[0], 'file too short'), (OTHER_PYTHON, f'it is not for {sys.implementation.cache_tag}')],
    ids=['does not load', 'of another Python'],
)
def test_ops_that_do_not_load_are_named_and_never_replaced(fake_mmcv: Path, suffix: str, reason: str) -> None:
    library = fake_mmcv / f'_ext{suffix}'
    library.touch()
    error = run(CHECK, fake_mmcv.parent).stderr.splitlines()[-1]
    assert error.startswith('effformer_dense.mmcv_ops.finder.MmcvError: ')
    named = str(library), reason, 'compiled for another torch or Python', 'MMCV=stand-in make setup', 'MMCV=compiled'
    for part in named:
        assert part in error
    done = run('import effformer_dense; print("a backbone needs none of it"); import mmcv.ops', fake_mmcv.parent)
    assert done.stdout == 'a backbone needs none of it\n'
    assert done.stderr.splitlines()[-1] == error, 'who imports them without a check hears the same'


def test_half_an_installation_is_named(fake_mmcv: Path) -> None:
    (fake_mmcv / 'ops.py').write_text('import gone')
    where = fake_mmcv / '__init__.py'
    reason = "ModuleNotFoundError: No module named 'gone'"
    assert f'mmcv at {where} cannot be imported ({reason})' in run(CHECK, fake_mmcv.parent).stderr


def test_what_an_uninstallation_left_is_named(fake_mmcv: Path) -> None:
    """To Python a folder of any content is a package."""
    for file in fake_mmcv.iterdir():
        file.unlink()
    done = run(f'import effformer_dense, sys; sys.path[:] = [{str(fake_mmcv.parent)!r}]; {CHECK}')
    assert f'mmcv at {fake_mmcv} cannot be imported' in done.stderr


def test_no_mmcv_at_all_says_what_to_install() -> None:
    done = run(f'import sys; sys.modules["mmcv"] = None; {CHECK}')
    assert 'are built on, is not installed' in done.stderr and 'make setup' in done.stderr


def test_the_way_out_is_of_the_package_that_is_installed(fake_mmcv: Path) -> None:
    """mmdet 3.3.0 works with mmcv 2.1.0 alone; to lay the fork over it would break both."""
    for name in ('mmcv', 'onedl_mmcv'):
        meta = fake_mmcv.parent / f'{name}-2.1.0.dist-info'
        meta.mkdir()
        (meta / 'METADATA').write_text(f'Metadata-Version: 2.1\nName: {name.replace("_", "-")}\nVersion: 2.1.0\n')
        (meta / 'RECORD').write_text('mmcv/__init__.py,,\n')
        code = 'import sys; sys.path[:] = [p for p in sys.path if "site-packages" not in p]'
        code += '; import importlib.util as u; s = u.spec_from_file_location("i", sys.argv[1])'
        code += '; i = u.module_from_spec(s); s.loader.exec_module(i); print(i.plain_command(), i.compile_command())'
        script = str(PROJECT_ROOT / 'effformer_dense' / 'mmcv_ops' / 'installation.py')
        done = run(code, fake_mmcv.parent, arguments=[script])
        if name == 'mmcv':
            assert '`pip uninstall -y mmcv && pip install --force' in done.stdout and 'mmcv-lite==2.1.0`' in done.stdout
            assert '--no-build-isolation mmcv==2.1.0`' in done.stdout
        else:
            assert done.stdout.count('pip uninstall -y mmcv onedl-mmcv && ') == 2, done.stderr


def test_a_torchvision_of_another_torch_is_named(fake_mmcv: Path) -> None:
    (fake_mmcv.parent / 'torchvision.py').write_text('raise RuntimeError("operator torchvision::nms does not exist")')
    done = run('import effformer_dense, mmcv.ops', fake_mmcv.parent)
    error = done.stderr.splitlines()[-1]
    assert 'operator torchvision::nms does not exist' in error and 'torchvision that belongs to your torch' in error


def test_tools_name_it_in_one_message(fake_mmcv: Path, tmp_path: Path) -> None:
    (fake_mmcv / f'_ext{EXTENSION_SUFFIXES[0]}').touch()
    code = (
        f'import sys; sys.path.insert(0, {str(PROJECT_ROOT / "tools")!r}); sys.argv = ["train.py"];'
        'import door; door.run("train")'
    )
    done = run(code, fake_mmcv.parent)
    assert done.returncode == 2 and 'Traceback' not in done.stderr
    assert done.stderr.strip().startswith("Error: mmcv's compiled ops do not load: ")


CPU_ONLY = """
import sys, types, torch
torch.cuda.is_available = lambda: True
fake = types.SimpleNamespace(_cuda_version=lambda: -1)
torch.ops.__dict__['torchvision'] = fake
import effformer_dense, mmcv.ops
"""


def test_a_torchvision_without_cuda_beside_a_gpu_is_named(fake_mmcv: Path) -> None:
    (fake_mmcv.parent / 'torchvision.py').write_text('__version__ = "0.1+cpu"')
    error = run(CPU_ONLY, fake_mmcv.parent).stderr.splitlines()[-1]
    assert 'torchvision 0.1+cpu, which would stand in, is built without CUDA' in error
