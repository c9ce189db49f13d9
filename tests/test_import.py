"""What importing the package does, and what it leaves alone: each time in a fresh interpreter."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.helpers import PROJECT_ROOT


def _run(code: str) -> subprocess.CompletedProcess:
    command = [sys.executable, '-W', 'ignore', '-c', code]
    return subprocess.run(command, capture_output=True, text=True, cwd=PROJECT_ROOT)


LIGHT = """
import sys
import effformer_dense.errors, effformer_dense.variants, effformer_dense.version
from effformer_dense import mmcv_ops
assert effformer_dense.variants.V2_VARIANTS['s0'].widths[0] == 32
assert {'EfficientFormerV1', 'EfficientFormerV2', 'checkpoint', 'use_safe_loaders'} <= set(dir(effformer_dense))
assert not hasattr(effformer_dense, 'EfficientFormerV3')
print([name for name in ('torch', 'numpy', 'mmengine', 'mmcv') if name in sys.modules])
"""


WITHOUT_TORCH = """
import sys
from importlib.machinery import PathFinder
class WithoutTorch(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name == 'torch' else super().find_spec(name, path, target)
sys.meta_path[sys.meta_path.index(PathFinder)] = WithoutTorch
"""


def test_tables_need_neither_torch_nor_mmengine() -> None:
    done = _run(LIGHT)
    assert done.stdout.strip() == '[]', done.stderr


def test_backbones_without_mmengine_say_what_to_install() -> None:
    done = _run('import sys; sys.modules["mmengine"] = None; from effformer_dense import EfficientFormerV2')
    assert 'ImportError: effformer_dense needs MMEngine' in done.stderr
    assert '`pip install onedl-mmengine`' in done.stderr


def test_backbones_without_torch_say_which_extra_to_install() -> None:
    done = _run(f'{WITHOUT_TORCH}from effformer_dense import EfficientFormerV2')
    assert 'ImportError: effformer_dense.backbones needs torch' in done.stderr
    assert "pip install 'effformer_dense[onedl]'" in done.stderr


@pytest.mark.parametrize('line', ['train', 'infer c.py k.pth p.png'])
def test_commands_without_torch_say_which_extra_to_install(line: str) -> None:
    script = (
        f'{WITHOUT_TORCH}from effformer_dense.commands.cli import effdense; sys.argv[1:] = {line.split()}; effdense()'
    )
    done = _run(script)
    assert done.returncode == 2 and 'Traceback' not in done.stderr
    assert "has no torch: pip install 'effformer_dense[onedl]'" in done.stderr


def test_scoring_without_rich_says_what_to_install() -> None:
    """The extra `runtime` does not bring it."""
    script = (
        f'{WITHOUT_TORCH.replace("torch", "rich")}from effformer_dense.commands.cli import effdense; '
        'sys.argv[1:] = ["eval-ade20k", "a", "b"]; effdense()'
    )
    done = _run(script)
    assert done.returncode == 2 and 'Traceback' not in done.stderr
    assert 'has no rich: pip install rich' in done.stderr


def test_mmengine_without_torch_is_left_alone() -> None:
    """MMEngine's configs work without torch; so do they beside this package."""
    imports = 'import importlib.util, effformer_dense, mmengine.config; '
    done = _run(f'{WITHOUT_TORCH}{imports}print(importlib.util.find_spec("torch"))')
    assert done.stdout.strip() == 'None', done.stderr


#: First statements of a program. Importing any module of `backbones` or `checkpoint` runs its package first, which
#: imports MMEngine and so has the other package imported half-way: one module of each stands for all.
ORDERS = [
    'import importlib.util, effformer_dense; importlib.util.find_spec("mmengine")',
    'import mmengine, effformer_dense',
    'import effformer_dense.backbones.base',
    'import effformer_dense.checkpoint.read',
]

STATE = """
import json, mmengine
from mmengine.registry import MODELS
found = MODELS.get('EfficientFormerV2')
from effformer_dense import EfficientFormerV2
from mmengine.runner import CheckpointLoader
schemes = {name: loader.__module__.partition('.')[0] for name, loader in CheckpointLoader._schemes.items()}
print(json.dumps(dict(
    same=found is EfficientFormerV2,
    adapts=found.state_dict_adapter.__name__,
    reads=found.reading.__name__,
    added=[name for name, package in schemes.items() if package != 'mmengine'],
    untouched='exec_module' not in vars(mmengine.__spec__.loader),
)))
"""


@pytest.mark.slow
@pytest.mark.parametrize('order', ORDERS)
def test_registered_in_any_order_and_nothing_replaced(order: str) -> None:
    done = _run(order + STATE)
    assert json.loads(done.stdout or '{}') == dict(
        same=True,
        adapts='adapt_state_dict',
        reads='safe_loaders',
        added=['timm://', 'hf://'],
        untouched=True,
    ), done.stderr
