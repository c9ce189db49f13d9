"""What a run shows on the terminal, and what it writes into its log file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.registry import MODELS

from effformer_dense.engine.quiet import QuietRunner
from tests.helpers import PROJECT_ROOT


@MODELS.register_module()
class NothingToTrain(BaseModel):
    """A model for a runner that is built and not run."""

    def forward(self, inputs, data_samples=None, mode: str = 'tensor'):
        """Never called."""
        raise NotImplementedError


def test_environment_config_and_hooks_go_to_the_file_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cfg = Config(dict(model=dict(type='NothingToTrain'), work_dir=str(tmp_path), experiment_name='quiet'))
    runner = QuietRunner.from_cfg(cfg)
    runner.logger.info('loss: 1.5')
    shown = capsys.readouterr().out
    (log,) = tmp_path.glob('*/*.log')
    written = log.read_text()
    for start in ('System environment:', 'GPU number: 1', 'Config:\n', 'Hooks will be executed'):
        assert start in written and start not in shown
    assert 'loss: 1.5' in shown and str(log) in shown
    assert len(shown.splitlines()) < 10 < len(written.splitlines())


SCRIPT = """
import sys
from pathlib import Path
from effformer_dense.config.load import ConfigOptions
from effformer_dense.engine.open import open_config
open_config(ConfigOptions(Path({config!r})))
print('imported', *sorted({{'mmdet.datasets', 'mmseg.datasets'}} & set(sys.modules)))
"""


@pytest.mark.slow
def test_importing_the_frameworks_says_nothing_about_onedl() -> None:
    config = str(PROJECT_ROOT / 'configs' / 'maskrcnn_v2_s0_shapes.py')
    command = [sys.executable, '-c', SCRIPT.format(config=config)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=PROJECT_ROOT)
    assert done.stdout.splitlines()[-1].startswith('imported mmdet.datasets'), done.stderr
    assert 'OneDL' not in done.stdout + done.stderr
