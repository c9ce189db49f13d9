"""The scripts that start several processes of this machine."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from effformer_dense.engine.runner import evaluate, train
from effformer_dense.options import ConfigOptions, EvaluationOptions
from tests.helpers import PROJECT_ROOT

TOOLS = PROJECT_ROOT / 'tools'


def _run(script: str, *arguments: object, cwd: Path) -> subprocess.CompletedProcess:
    path = f'{Path(sys.executable).parent}:{os.environ["PATH"]}'
    environment = {**os.environ, 'PATH': path, 'PYTHONPATH': str(PROJECT_ROOT), 'OMP_NUM_THREADS': '1'}
    command = [str(TOOLS / script), *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize(
    ('script', 'usage'), [('dist_train.sh', 'PROCESSES CONFIG'), ('dist_test.sh', 'PROCESSES CONFIG CHECKPOINT')]
)
def test_too_few_arguments(script: str, usage: str, tmp_path: Path) -> None:
    done = _run(script, 2, cwd=tmp_path)
    assert done.returncode == 2 and f'tools/{script} {usage}' in done.stderr


@pytest.mark.slow
def test_scores_are_those_of_one_process(tiny_segmentor: Path, tmp_path: Path) -> None:
    """Three pictures: one of the two processes gets one twice, which must not count."""
    small = (
        'train_dataloader.dataset.pipeline.2.scale=(256,96)',
        'train_dataloader.dataset.pipeline.3.crop_size=(64,64)',
    )
    work_dir = train(ConfigOptions(tiny_segmentor, small, tmp_path / 'work', from_scratch=True))
    alone = evaluate(ConfigOptions(tiny_segmentor, work_dir=tmp_path / 'one'), EvaluationOptions(work_dir))
    done = _run('dist_test.sh', 2, tiny_segmentor, work_dir, '--work-dir', tmp_path / 'two', cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    told = re.findall(r'^(\w+): (\d+\.\d{6})$', done.stdout, re.MULTILINE)
    assert [name for name, _ in told] == list(alone), 'once, though two processes have them'
    assert dict(told) == {name: f'{value:.6f}' for name, value in alone.items()}
    assert alone['mIoU'] > 0
