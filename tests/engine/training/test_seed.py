"""The seed of a run, from the command to its checkpoints."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from effformer_dense.engine.runner import train
from effformer_dense.errors import UserError
from effformer_dense.options import ConfigOptions, TrainOptions

from .noisy import differing, saved


def test_options_are_checked():
    with pytest.raises(UserError, match='--seed -1'):
        TrainOptions(seed=-1)
    with pytest.raises(UserError, match='--skip-bad-steps -1 is negative'):
        TrainOptions(skip_bad_steps=-1)


@pytest.mark.slow
def test_seed_decides_and_stays_that_of_the_run(tmp_path: Path, tiny_config: Path):
    def run(name: str, seed: int | None = None, resume: str | None = None) -> Path:
        options = ConfigOptions(tiny_config, work_dir=tmp_path / name, from_scratch=True)
        return train(options, resume, TrainOptions(seed=seed)) / 'epoch_1.pth'

    first, same, other = run('first', 5), run('same', 5), run('other', 6)
    assert differing(saved(first), saved(same)) == []
    assert differing(saved(first), saved(other)) != []
    with pytest.raises(UserError, match='has seed 5 and goes on with it'):
        run('first', 6, 'auto')
    run('first', None, 'auto')
    starts = json.loads((tmp_path / 'first' / 'run.json').read_text())
    assert [start['seed'] for start in starts] == [5, 5]
    assert starts[1]['resumed_from'] == str(first)
    assert torch.load(first, weights_only=False)['meta']['seed'] == 5
