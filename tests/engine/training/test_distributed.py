"""Two processes: they draw apart, and decide together."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
import torch.multiprocessing as mp
from mmengine.model import MMDistributedDataParallel

from effformer_dense.errors import UserError
from effformer_dense.options import TrainOptions

from .noisy import saved, toy_runner
from .ranks import met_by_file


def _run(rank: int, folder: Path, wrong_on: int, most_skipped: int) -> None:
    """Train in one of two processes; its model goes wrong at iteration 3 in one of them."""
    torch.set_num_threads(1)
    spoil = {2: 'loss'} if rank == wrong_on else {}
    options = TrainOptions(skip_bad_steps=most_skipped)
    with met_by_file(folder, rank):
        runner = toy_runner(folder / 'run', options=options, model=dict(spoil=spoil), loader=dict(batch_size=2))
        runner.model = MMDistributedDataParallel(runner.model)
        try:
            runner.train()
        except UserError as error:
            (folder / f'error{rank}.txt').write_text(str(error))
        model = runner.model.module
        torch.save({'weights': model.state_dict(), 'seen': model.seen}, folder / f'{rank}.pt')


def run_two(folder: Path, wrong_on: int = -1, most_skipped: int = 0) -> list[dict]:
    mp.spawn(_run, (folder, wrong_on, most_skipped), nprocs=2)
    return [torch.load(folder / f'{rank}.pt', weights_only=False) for rank in (0, 1)]


pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != 'linux', reason='gloo by a file')]


def test_all_processes_stop_and_tell_of_the_one_that_is_at_fault(tmp_path: Path):
    run_two(tmp_path, wrong_on=1)
    first, second = ((tmp_path / f'error{rank}.txt').read_text() for rank in (0, 1))
    assert first == second
    assert 'Stopped at iteration 3' in first and 'loss_a nan' in first
    assert (tmp_path / 'run' / 'iter_2.pth').exists() and not (tmp_path / 'run' / 'iter_3.pth').exists()


def test_all_processes_leave_out_the_same_step(tmp_path: Path):
    first, second = run_two(tmp_path, wrong_on=1, most_skipped=1)
    names = [name for name, _ in first['weights'].items() if 'running' not in name and 'batches' not in name]
    assert all(torch.equal(first['weights'][name], second['weights'][name]) for name in names)
    assert all(torch.isfinite(value).all() for state in (first, second) for value in state['weights'].values())
    before, after = (saved(tmp_path / 'run' / f'iter_{i}.pth') for i in (2, 3))
    assert all(torch.equal(before[name], after[name]) for name in names)


def test_two_processes_load_what_one_with_twice_the_batch_does(tmp_path: Path):
    first, second = run_two(tmp_path)
    one = toy_runner(tmp_path / 'one', loader=dict(batch_size=4))
    one.train()
    flat = [sorted(tuple(sample) for sample in batch) for batch in one.model.seen]
    pairs = [sorted(tuple(s) for s in [*a, *b]) for a, b in zip(first['seen'], second['seen'], strict=True)]
    assert flat == pairs and len(flat) == 9
