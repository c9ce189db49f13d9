"""The tools as they are typed: help within seconds, mistakes in one message, work from any directory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers import PROJECT_ROOT

TOOLS = PROJECT_ROOT / 'tools'


def _run(tool: str, *arguments: object, cwd: Path) -> subprocess.CompletedProcess:
    command = [sys.executable, str(TOOLS / f'{tool}.py'), *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True)


HELP_SCRIPT = """
import contextlib, io, runpy, sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name in ('torch', 'mmengine', 'mmcv', 'mmdet', 'mmseg', 'timm', 'pycocotools'):
            raise ModuleNotFoundError(name=name)

sys.meta_path.insert(0, Missing())
for tool in sys.argv[1:]:
    sys.argv, sys.path[0] = [tool, '--help'], tool.rpartition('/')[0]
    with contextlib.redirect_stdout(io.StringIO()) as text, contextlib.suppress(SystemExit):
        runpy.run_path(tool, run_name='__main__')
    print('\\0', text.getvalue())
"""


def test_help_needs_neither_data_nor_torch(tmp_path: Path) -> None:
    """Whose import takes the seconds that help must not take."""
    tools = [
        'train',
        'test',
        'infer',
        'export',
        'eval_ade20k',
        'prepare_data',
        'convert_checkpoint',
        'benchmark',
        'compare',
    ]
    command = [sys.executable, '-c', HELP_SCRIPT, *(str(TOOLS / f'{tool}.py') for tool in tools)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    texts = done.stdout.split('\0')[1:]
    assert [f'python {TOOLS / tool}.py' in text for tool, text in zip(tools, texts, strict=True)] == [True] * len(tools)


@pytest.mark.slow
def test_mistake_is_one_message_and_leaves_nothing(tmp_path: Path) -> None:
    done = _run('train', 'configs/maskrcnn_v2_s0_coco.py', '--data-root', tmp_path / 'nowhere', cwd=tmp_path)
    assert done.returncode == 2
    assert 'Traceback' not in done.stderr
    assert f'Error: Data set folder {tmp_path / "nowhere"} does not exist' in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_overrides_add_up_and_a_wrong_value_leaves_nothing(tmp_path: Path) -> None:
    options = ['--cfg-options', 'model.backbone.arch=s9', '--cfg-options', 'train_dataloader.batch_size=2']
    done = _run('train', *options, '--data-root', tmp_path / 'shapes', '--work-dir', tmp_path / 'work', cwd=tmp_path)
    assert done.returncode == 2
    assert "arch must be one of s0, s1, s2, l; got 's9'" in done.stderr and 'Traceback' not in done.stderr
    assert not (tmp_path / 'work').exists()


def test_resume_does_not_take_the_config_for_a_checkpoint(tmp_path: Path) -> None:
    done = _run('train', '--resume', 'configs/maskrcnn_v2_s0_coco.py', cwd=tmp_path)
    assert done.returncode == 2 and 'Name the config before --resume' in done.stderr


@pytest.mark.slow
def test_infer_without_a_checkpoint(tmp_path: Path) -> None:
    done = _run('infer', 'configs/maskrcnn_v2_s0_shapes.py', 'gone.pth', 'gone.jpg', cwd=tmp_path)
    assert done.returncode == 2 and 'Checkpoint gone.pth does not exist' in done.stderr
