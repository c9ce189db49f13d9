"""What is not finite reaches neither weights nor checkpoints."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapper, OptimWrapperDict, build_optim_wrapper
from torch import nn

from effformer_dense.config.load import load_config
from effformer_dense.engine.training.numbers import NumberGuard
from effformer_dense.errors import UserError
from effformer_dense.options import ConfigOptions, TrainOptions

from .noisy import differing, saved, toy_runner

CLIP = dict(max_norm=10.0)


@pytest.mark.parametrize('accumulate', [1, 3])
@pytest.mark.parametrize('clip', [None, CLIP], ids=['', 'clipped'])
@pytest.mark.parametrize('wrong', ['loss', 'gradients', 'inputs'])
def test_run_stops_before_the_weights_change(tmp_path: Path, wrong: str, clip: dict | None, accumulate: int):
    runner = toy_runner(tmp_path, model=dict(spoil={5: wrong}), clip_grad=clip, accumulate=accumulate)
    with pytest.raises(UserError, match='Stopped at iteration 6, before it changed the weights') as error:
        runner.train()
    text = str(error.value)
    assert ('loss_a nan' in text) == (wrong != 'gradients') and 'loss_b' in text
    assert 'the norm of the gradients is not finite' in text or wrong != 'gradients'
    assert '.png' in text and 'Learning rate: 0.0' in text and 'iter_5.pth. What helps' in text
    assert not (tmp_path / 'iter_6.pth').exists()
    before = torch.load(tmp_path / 'iter_5.pth', weights_only=False)['state_dict']
    learned = dict(runner.model.named_parameters())
    assert differing({name: before[name] for name in learned}, learned) == []


def test_the_scaler_of_mixed_precision_clips_what_is_not_finite_by_itself() -> None:
    """Its first steps are not: it leaves them out, after they were clipped."""
    for scaled in (False, True):
        layer = nn.Linear(2, 2)
        wrapper = OptimWrapper(torch.optim.SGD(layer.parameters(), lr=0.1), clip_grad=dict(max_norm=1.0))
        if scaled:
            wrapper.loss_scaler = object()
        model = SimpleNamespace(parse_losses=None)
        NumberGuard().before_train(SimpleNamespace(model=model, optim_wrapper=wrapper))
        assert (wrapper.clip_func is nn.utils.clip_grad_norm_) == scaled


@pytest.mark.parametrize(
    ('clip', 'then'),
    [
        ('clip_grad=None', dict(max_norm=10)),
        ('', dict(max_norm=10)),
        ('clip_grad=dict(max_norm=10.0)', dict(max_norm=1)),
        ("clip_grad=dict(type='value', clip_value=0.5)", dict(clip_value=0.05)),
    ],
)
def test_advice_can_be_followed_whatever_the_config_clips(tmp_path: Path, clip: str, then: dict):
    """The override of the message clips more than before."""
    config = tmp_path / 'config.py'
    optimizer = "optimizer=dict(type='AdamW', lr=0.01)"
    config.write_text(
        f"model = dict(type='ToyModel')\noptim_wrapper = dict(type='OptimWrapper', {optimizer}, {clip})\n"
    )
    before = load_config(ConfigOptions(config)).optim_wrapper.get('clip_grad')
    runner = toy_runner(tmp_path, model=dict(spoil={5: 'loss'}), clip_grad=before and dict(before))
    with pytest.raises(UserError) as error:
        runner.train()
    override = re.search(r'or --cfg-options (\S+);', str(error.value))[1]
    cfg = load_config(ConfigOptions(config, cfg_options=[override]))
    wrapper = build_optim_wrapper(runner.model, cfg.optim_wrapper)
    assert wrapper.clip_grad_kwargs == then


def test_advice_names_the_optimizer_of_several(tmp_path: Path):
    runner = toy_runner(tmp_path, model=dict(spoil={5: 'loss'}))
    single = runner.build_optim_wrapper(runner.optim_wrapper)
    both = OptimWrapperDict(other=OptimWrapper(single.optimizer, clip_grad=dict(CLIP)), mine=single)
    guard = NumberGuard()
    guard._runner = SimpleNamespace(work_dir=tmp_path, optim_wrapper=both)
    assert '--cfg-options optim_wrapper.mine.clip_grad.max_norm=10;' in guard._way_out(single)
    assert '--cfg-options optim_wrapper.other.clip_grad.max_norm=1;' in guard._way_out(both)


@pytest.mark.parametrize('wrong', ['loss', 'gradients', 'inputs'])
@pytest.mark.parametrize('clip', [None, CLIP], ids=['', 'clipped'])
def test_step_that_is_left_out_changes_nothing(tmp_path: Path, wrong: str, clip: dict | None):
    runner = toy_runner(tmp_path, options=TrainOptions(skip_bad_steps=1), model=dict(spoil={5: wrong}), clip_grad=clip)
    runner.train()
    assert differing(saved(tmp_path / 'iter_5.pth'), saved(tmp_path / 'iter_6.pth')) == []
    assert differing(saved(tmp_path / 'iter_6.pth'), saved(tmp_path / 'iter_7.pth')) != []
    assert all(torch.isfinite(value).all() for value in saved(tmp_path / 'iter_12.pth').values())


def test_step_is_left_out_of_a_model_without_running_statistics(tmp_path: Path):
    runner = toy_runner(tmp_path, options=TrainOptions(skip_bad_steps=1), model=dict(spoil={5: 'loss'}))
    runner.model.net[1] = nn.Identity()
    runner.train()
    assert differing(saved(tmp_path / 'iter_5.pth'), saved(tmp_path / 'iter_6.pth')) == []
    assert (tmp_path / 'iter_12.pth').exists()


def test_accumulated_step_does_without_the_bad_part(tmp_path: Path):
    for place, spoil in enumerate([{}, {4: 'loss'}, {3: 'loss', 4: 'loss', 5: 'loss'}]):
        options = TrainOptions(skip_bad_steps=3)
        toy_runner(tmp_path / str(place), options=options, model=dict(spoil=spoil), accumulate=3).train()
    good, part, none = (saved(tmp_path / str(place) / 'iter_6.pth') for place in range(3))
    before = saved(tmp_path / '0' / 'iter_3.pth')
    assert differing(part, good) and differing(part, before)
    assert differing(none, before) == []


def test_no_more_steps_are_left_out_than_allowed_also_after_a_resume(tmp_path: Path):
    options = TrainOptions(skip_bad_steps=2)
    toy_runner(tmp_path / 'a', options=options, model=dict(spoil={2: 'loss', 3: 'gradients'})).train()
    other = toy_runner(tmp_path / 'b', tmp_path / 'a' / 'iter_8.pth', options, model=dict(spoil={1: 'loss'}))
    with pytest.raises(UserError, match='Stopped at iteration 10, after 2 steps that were left out'):
        other.train()


def test_weights_that_are_not_finite_are_not_saved(tmp_path: Path):
    class Spoiling(Hook):
        def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
            if runner.iter == 3:
                runner.model.net[1].running_var[0] = torch.inf

    runner = toy_runner(tmp_path, custom_hooks=[Spoiling()])
    with pytest.raises(UserError, match=r'No checkpoint was written at iteration 4: net\.1\.running_var is not finite'):
        runner.train()
    assert (tmp_path / 'iter_3.pth').exists() and not (tmp_path / 'iter_4.pth').exists()
