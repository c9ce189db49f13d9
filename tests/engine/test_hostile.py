"""Files made to do harm, by every way that they can come into our tools; none of them runs anything."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from effformer_dense.config.load import ConfigOptions
from effformer_dense.engine.infer import InferOptions, infer
from effformer_dense.engine.runner import EvaluationOptions, evaluate, train
from tests.checkpoint.test_hostile import CASES

pytestmark = pytest.mark.slow

#: Two of many: every way ends in the same reading, which is tested with all of them.
HARMFUL = ('a command', 'an expression')

Way = Callable[[ConfigOptions, Path], object]


def _infer(options: ConfigOptions, file: Path) -> None:
    Image.new('RGB', (64, 64)).save(file.parent / 'picture.png')
    infer(options, InferOptions(file, str(file.parent / 'picture.png'), file.parent / 'out'))


def _train_with(line: str) -> Way:
    """Training from the config and a further line, with the file in it."""

    def way(options: ConfigOptions, file: Path) -> None:
        changed = file.parent / 'changed.py'
        changed.write_text(f'{options.config.read_text()}\n{line.format(file=str(file))}\n')
        train(replace(options, config=changed))

    return way


WAYS: dict[str, Way] = {
    'load_from': _train_with('load_from = {file!r}'),
    'backbone': _train_with(
        "model['backbone'] = dict(init_cfg=dict(_delete_=True, type='Pretrained', checkpoint={file!r}))"
    ),
    'whole_model': _train_with("model['init_cfg'] = dict(type='Pretrained', checkpoint={file!r})"),
    'resume': lambda options, file: train(options, resume=str(file)),
    'test': lambda options, file: evaluate(options, EvaluationOptions(file)),
    'infer': _infer,
}


@pytest.mark.parametrize('way', WAYS)
def test_no_way_runs_a_pickle(way: str, tiny_config: Path, tmp_path: Path) -> None:
    options = ConfigOptions(tiny_config, work_dir=tmp_path / 'work')
    file, canary = tmp_path / 'file.pth', tmp_path / 'ran'
    for name in HARMFUL:
        CASES[name].write({'x': torch.ones(1)}, file, canary)
        with pytest.raises(ValueError, match='wants to use'):
            WAYS[way](options, file)
        assert not canary.exists(), name
