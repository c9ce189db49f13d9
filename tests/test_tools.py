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

sys.modules.update(dict.fromkeys(['torch', 'mmengine', 'mmcv', 'mmdet', 'mmseg', 'timm', 'pycocotools']))
for tool in sys.argv[1:]:
    sys.argv, sys.path[0] = [tool, '--help'], tool.rpartition('/')[0]
    with contextlib.redirect_stdout(io.StringIO()) as text, contextlib.suppress(SystemExit):
        runpy.run_path(tool, run_name='__main__')
    print('\\0', text.getvalue())
"""


def test_help_needs_neither_data_nor_torch(tmp_path: Path) -> None:
    """Whose import takes the seconds that help must not take."""
    tools = ['train', 'test', 'infer', 'eval_ade20k', 'prepare_data', 'convert_checkpoint', 'benchmark']
    command = [sys.executable, '-c', HELP_SCRIPT, *(str(TOOLS / f'{tool}.py') for tool in tools)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    texts = done.stdout.split('\0')[1:]
    assert [f'python tools/{tool}.py' in text for tool, text in zip(tools, texts, strict=True)] == [True] * len(tools)


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


WORKER_SCRIPT = """
import sys
sys.path.insert(0, {tools!r})
from arguments import run
from torch.utils.data import DataLoader
from effformer_dense.data.segmentation_maps import read_segmentation_map

class Labels:
    def __len__(self):
        return 2
    def __getitem__(self, index):
        return {body}

run(lambda: list(DataLoader(Labels(), num_workers=1)))
"""


@pytest.mark.slow
def test_mistake_found_by_a_loading_process_is_one_message_too() -> None:
    def script(body: str) -> subprocess.CompletedProcess:
        code = WORKER_SCRIPT.format(tools=str(TOOLS), body=body)
        return subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)

    done = script("read_segmentation_map('gone.png')")
    assert done.returncode == 2 and 'Traceback' not in done.stderr
    assert done.stderr.strip().startswith('Error: gone.png: cannot be read (No such file or directory).')
    assert 'Traceback' in script("int('x')").stderr, 'what the package did not raise keeps its traceback'
