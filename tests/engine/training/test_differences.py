"""Configs are compared as text, and nothing in them runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from mmengine.config import Config

from effformer_dense.engine.training.differences import config_differences

from .noisy import toy_runner


def test_each_entry_that_differs_is_shown_by_its_place():
    before = "lr = 0.1\nhooks = dict(a=dict(n=1), b=[1, 2])\nsteps = [dict(type='Flip', p=0.5), dict(type='Pack')]"
    now = "lr = 0.1\nhooks = dict(a=dict(n=2), b=[1, 3])\nsteps = [dict(type='Flip', p=0.5)]\nnew = None"
    assert config_differences(before, now) == [
        'hooks.a.n: 1, now 2',
        'hooks.b: [1, 2], now [1, 3]',
        'new: (not there), now None',
        "steps.1.type: 'Pack', now (not there)",
    ]


def test_settings_that_the_checkpoint_brings_are_said_to_have_no_effect():
    (line,) = config_differences(
        'optim_wrapper = dict(optimizer=dict(lr=1))', 'optim_wrapper = dict(optimizer=dict(lr=2))'
    )
    assert line == 'optim_wrapper.optimizer.lr: 1, now 2, without effect: the checkpoint brings it'


def test_where_a_run_writes_and_starts_from_is_no_difference():
    before = "work_dir = 'a'\nload_from = None\nmodel = dict(backbone=dict(init_cfg=dict(checkpoint='x')))"
    assert config_differences(before, "work_dir = 'b'\nload_from = 'c'\nmodel = dict(backbone=dict())") == [
        'model.backbone: (not there), now dict()'
    ]


def test_nothing_runs_and_nonsense_is_said_to_be_that(tmp_path: Path):
    mark = tmp_path / 'mark'
    program = f"lr = __import__('pathlib').Path({str(mark)!r}).touch()"
    assert config_differences(program, 'lr = 1') == [f'lr: {program[5:]}, now 1']
    assert not mark.exists()
    for text in ('lr = = 1', 'a' * 5_000_000, '(' * 5000, 'a = ' + '-' * 20_000 + '1', '\0'):
        assert len(config_differences(text, 'lr = 1')) == 1


def test_resumed_run_shows_what_its_config_has_otherwise(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    toy_runner(tmp_path / 'a', cfg=Config(dict(optim_wrapper=dict(lr=1), seed=1))).train()
    changed = Config(dict(optim_wrapper=dict(lr=2), seed=1))
    other = toy_runner(tmp_path / 'b', tmp_path / 'a' / 'iter_11.pth', cfg=changed)
    other.logger.addHandler(caplog.handler)
    other.train()
    assert 'another config than it began with:\n  optim_wrapper.lr: 1, now 2\n' in caplog.text + '\n'
    assert 'seed' not in caplog.text
