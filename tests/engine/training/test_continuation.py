"""A resumed run ends with the weights of the run that was never stopped."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.hooks import EarlyStoppingHook, Hook

from effformer_dense.engine.training.continuation import ENTRY, ContinuationHook

from .noisy import differing, saved, toy_runner

EMA = [dict(type='EMAHook', momentum=0.1)]
CASES = {
    'epochs': {},
    'iterations': dict(by_epoch=False),
    'iterations over rounds': dict(by_epoch=False, sampler=dict(type='DefaultSampler')),
    'accumulated': dict(accumulate=3),
    'accumulated iterations': dict(by_epoch=False, accumulate=3),
    'batches of one shape': dict(loader=dict(batch_sampler=dict(type='mmdet.AspectRatioBatchSampler', drop_last=True))),
    'average': dict(custom_hooks=EMA, accumulate=3),
}


@pytest.mark.parametrize('case', CASES)
def test_resumed_run_ends_with_the_same_weights(tmp_path: Path, case: str):
    whole = toy_runner(tmp_path / 'whole', **CASES[case])
    whole.train()
    last = whole.iter
    for stop in (1, 4, 8, 11):  # in the middle of an epoch and, of 4 iterations, at its end
        other = toy_runner(tmp_path / f'{stop}', tmp_path / 'whole' / f'iter_{stop}.pth', **CASES[case])
        np.random.seed(stop)
        other.train()
        assert other.iter == last
        assert differing(*(saved(Path(runner.work_dir, f'iter_{last}.pth')) for runner in (whole, other))) == []
        # only what was left was loaded, in the same batches
        assert other.model.seen == whole.model.seen[stop:]
        assert len(other.train_dataloader.dataset.made) == sum(map(len, whole.model.seen[stop:]))


def test_gradients_that_wait_for_a_step_are_saved_only_then(tmp_path: Path):
    toy_runner(tmp_path, accumulate=3).train()
    waiting = [len(torch.load(tmp_path / f'iter_{i}.pth', weights_only=False)[ENTRY]['gradients']) for i in range(1, 8)]
    assert waiting == [6, 6, 0, 6, 6, 0, 6]


def test_run_goes_on_from_the_end_of_an_epoch(tmp_path: Path):
    each_epoch = dict(checkpoint=dict(type='CheckpointHook', interval=1), sampler_seed=dict(type='DistSamplerSeedHook'))
    whole = toy_runner(tmp_path / 'a', default_hooks=each_epoch)
    whole.train()
    other = toy_runner(tmp_path / 'b', tmp_path / 'a' / 'epoch_1.pth', default_hooks=each_epoch)
    other.train()
    assert other.model.seen == whole.model.seen[4:]
    assert differing(*(saved(tmp_path / name / 'epoch_3.pth') for name in 'ab')) == []


def test_another_batch_size_goes_on_behind_the_same_samples(tmp_path: Path):
    toy_runner(tmp_path / 'a', by_epoch=False).train()
    other = toy_runner(tmp_path / 'b', tmp_path / 'a' / 'iter_4.pth', by_epoch=False, loader=dict(batch_size=6))
    other.train()
    whole = toy_runner(tmp_path / 'c', by_epoch=False, loader=dict(batch_size=6))
    whole.train()
    assert other.model.seen[:3] == whole.model.seen[2:5]


def test_another_data_set_begins_its_round_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    toy_runner(tmp_path / 'a').train()
    other = toy_runner(tmp_path / 'b', tmp_path / 'a' / 'iter_6.pth', dataset=dict(indices=10))
    other.logger.addHandler(caplog.handler)
    other.train()
    assert 'has 10 samples, 13 when the checkpoint was saved' in caplog.text
    assert other.iter == 6 + 3 + 3  # the second epoch and the third, of 10 samples


@pytest.mark.parametrize('by_epoch', [True, False])
def test_checkpoints_without_our_entry_are_gone_on_from(tmp_path: Path, by_epoch: bool):
    whole = toy_runner(tmp_path / 'a', by_epoch=by_epoch)
    whole.train()
    content = torch.load(tmp_path / 'a' / 'iter_6.pth', weights_only=False)
    del content[ENTRY]
    torch.save(content, tmp_path / 'bare.pth')
    other = toy_runner(tmp_path / 'b', tmp_path / 'bare.pth', by_epoch=by_epoch)
    other.train()
    assert other.model.seen == whole.model.seen[6:]


def test_early_stopping_goes_on_waiting() -> None:
    def runner(resume: bool = True) -> SimpleNamespace:
        hook = EarlyStoppingHook(monitor='acc', rule='greater', patience=5)
        return SimpleNamespace(hooks=[hook], train_loop=None, _resume=resume)

    before, checkpoint = runner(), dict(meta={})
    before.hooks[0].wait_count, before.hooks[0].best_score = 4, 0.75
    ContinuationHook().before_save_checkpoint(before, checkpoint)
    for resume, wanted in ((True, (4, 0.75)), (False, (0, -float('inf')))):
        after = runner(resume)
        ContinuationHook().after_load_checkpoint(after, checkpoint)
        assert (after.hooks[0].wait_count, after.hooks[0].best_score) == wanted


def test_log_counts_on_within_the_epoch(tmp_path: Path):
    toy_runner(tmp_path / 'a').train()
    other = toy_runner(tmp_path / 'b', tmp_path / 'a' / 'iter_6.pth')
    numbers: list[int] = []

    class Noting(Hook):
        def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
            numbers.append(batch_idx)

    other.register_hook(Noting())
    other.train()
    assert numbers == [2, 3, 0, 1, 2, 3]
