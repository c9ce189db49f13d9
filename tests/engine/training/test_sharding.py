"""Two processes with a part of the model each train as two that have all of it, and save the same files."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.multiprocessing as mp
from mmengine.model import MMDistributedDataParallel
from torch import nn

from effformer_dense.checkpoint.loaders import safe_loaders
from effformer_dense.checkpoint.whole_model import load_weights
from effformer_dense.engine.training.sharding import ShardedModel, check_can_shard
from effformer_dense.errors import UserError
from effformer_dense.options import TrainOptions

from .noisy import ToyModel, differing, saved, toy_runner
from .ranks import farthest, met_by_file

pytestmark = [pytest.mark.skipif(sys.platform != 'linux', reason='gloo by a file')]

EMA = [dict(type='EMAHook', momentum=0.1)]
#: 21 iterations, in epochs of three.
CASES: dict[str, dict[str, Any]] = {
    'adamw': dict(clip_grad=dict(max_norm=0.1)),
    'sgd': dict(optim_wrapper=dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.1, momentum=0.9))),
    'accumulated': dict(accumulate=3),
    'average': dict(custom_hooks=EMA),
    'average of buffers': dict(custom_hooks=[dict(EMA[0], update_buffers=True)], clip_grad=dict(max_norm=0.1)),
}
LAST, MIDDLE = 'iter_21.pth', 'iter_12.pth'


@dataclass(frozen=True)
class Training:
    """One of the trainings that the two processes do; ``wrong`` is where the model of the second goes wrong."""

    name: str
    sharded: bool
    case: str = 'adamw'
    resume: str | None = None
    wrong: dict[int, str] | None = None
    skip: int = 0


TRAININGS = [
    *(Training(f'{case} {kind}', kind == 'sharded', case) for case in CASES for kind in ('whole', 'sharded')),
    *(Training(f'{case} gone on', True, case, f'{case} sharded') for case in CASES),
    Training('average gone on whole', False, 'average', 'average whole'),
    Training('from whole to sharded', True, resume='adamw whole'),
    Training('from sharded to whole', False, resume='adamw sharded'),
    *(
        Training(f'{wrong} wrong {case} {kind}', kind == 'sharded', case, None, {7: wrong}, 1)
        for wrong in ('inputs', 'gradients')
        for case in ('adamw', 'accumulated')
        for kind in ('whole', 'sharded')
    ),
    Training('stopped', True, wrong={7: 'loss'}),
]


def _run(rank: int, folder: Path) -> None:
    torch.set_num_threads(1)
    with met_by_file(folder, rank):
        for training in TRAININGS:
            _train(training, rank, folder)


def _train(training: Training, rank: int, folder: Path) -> None:
    resume = None if training.resume is None else folder / training.resume / MIDDLE
    runner = toy_runner(
        folder / training.name,
        resume,
        TrainOptions(skip_bad_steps=training.skip),
        model=dict(spoil=training.wrong if rank == 1 else None),
        loader=dict(batch_size=2),
        train_cfg=dict(by_epoch=True, max_epochs=7),
        **CASES[training.case],
    )
    runner.model = ShardedModel(runner.model) if training.sharded else MMDistributedDataParallel(runner.model)
    try:
        with safe_loaders():
            runner.train()
    except UserError as error:
        (folder / f'{training.name} {rank}.txt').write_text(str(error))


@pytest.fixture(scope='module')
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """All trainings, by the same two processes: to start them takes longer."""
    folder = tmp_path_factory.mktemp('trainings')
    mp.spawn(_run, (folder,), nprocs=2)
    yield folder


@pytest.mark.slow
@pytest.mark.parametrize('case', CASES)
def test_weights_are_those_of_whole_models(folder: Path, case: str) -> None:
    whole, sharded = (saved(folder / f'{case} {kind}' / LAST) for kind in ('whole', 'sharded'))
    print(f'{case}: {farthest(whole, sharded):.1e}')
    assert farthest(whole, sharded) < 1e-5
    early = saved(folder / f'{case} sharded' / 'iter_3.pth')
    assert float((sharded['net.0.weight'] - early['net.0.weight']).abs().max()) > 1e-4


@pytest.mark.slow
@pytest.mark.parametrize('case', CASES)
def test_checkpoints_have_the_same_form(folder: Path, case: str) -> None:
    whole, sharded = (torch.load(folder / f'{case} {kind}' / LAST, weights_only=False) for kind in ('whole', 'sharded'))
    assert _form(whole) == _form(sharded)
    assert whole['state_dict']._metadata == sharded['state_dict']._metadata
    load_weights(ToyModel(), folder / f'{case} sharded' / LAST)


def _form(node: Any) -> Any:
    """Keys, types and shapes; without the log, whose numbers are of a run."""
    if isinstance(node, torch.Tensor):
        return type(node), node.shape, node.dtype, node.device
    if isinstance(node, dict):
        return type(node), {key: _form(value) for key, value in node.items() if key != 'message_hub'}
    return [_form(value) for value in node] if isinstance(node, list) else type(node)


@pytest.mark.slow
@pytest.mark.parametrize('case', CASES)
def test_resumed_run_ends_with_the_same_weights(folder: Path, case: str) -> None:
    assert differing(*(saved(folder / f'{case} {name}' / LAST) for name in ('sharded', 'gone on'))) == []


@pytest.mark.slow
def test_resumed_average_of_whole_models_ends_with_the_same_weights(folder: Path) -> None:
    assert differing(*(saved(folder / name / LAST) for name in ('average whole', 'average gone on whole'))) == []


@pytest.mark.slow
@pytest.mark.parametrize('name', ['from whole to sharded', 'from sharded to whole'])
def test_either_goes_on_from_the_other(folder: Path, name: str) -> None:
    assert farthest(saved(folder / 'adamw sharded' / LAST), saved(folder / name / LAST)) < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize('kind', ['whole', 'sharded'])
@pytest.mark.parametrize('case', ['adamw', 'accumulated'])
@pytest.mark.parametrize('wrong', ['inputs', 'gradients'])
def test_step_that_is_left_out_changes_nothing(folder: Path, wrong: str, case: str, kind: str) -> None:
    """Weights, moments and statistics of batch norm; the eighth iteration, in one of the processes, goes wrong."""
    run = folder / f'{wrong} wrong {case} {kind}'
    before, after = ('iter_7.pth', 'iter_8.pth') if case == 'adamw' else ('iter_6.pth', 'iter_9.pth')
    assert differing(saved(run / before), saved(run / after)) == []
    assert differing(saved(run / after), saved(run / 'iter_12.pth')) != []
    assert all(torch.isfinite(value).all() for file in run.glob('iter_*.pth') for value in saved(file).values())
    assert len(list(run.glob('iter_*.pth'))) == 21


@pytest.mark.slow
def test_both_stop_before_the_weights_change(folder: Path) -> None:
    first, second = ((folder / f'stopped {rank}.txt').read_text() for rank in (0, 1))
    assert first == second and 'Stopped at iteration 8' in first and 'loss_a nan' in first
    assert (folder / 'stopped' / 'iter_7.pth').exists() and not (folder / 'stopped' / 'iter_8.pth').exists()


def test_a_weight_without_dimensions_is_refused() -> None:
    model = nn.Linear(2, 2)
    check_can_shard(model)
    model.register_parameter('scale', nn.Parameter(torch.tensor(1.0)))
    with pytest.raises(UserError, match='scale is a single number without a dimension: train this model without it'):
        check_can_shard(model)
