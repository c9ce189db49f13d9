"""Files that cannot be read, and loading processes that die or hang."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from effformer_dense.errors import UserError, message_of
from effformer_dense.files import write_png
from effformer_dense.options import TrainOptions

from .noisy import LENGTH, differing, saved, toy_runner

SKIP = TrainOptions(bad_data='skip')


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Pictures of the toy's samples; the one of sample 4 is cut short."""
    for index in range(LENGTH):
        write_png(tmp_path / f'{index}.png', np.zeros((40, 40, 3), np.uint8))
    (tmp_path / '4.png').write_bytes((tmp_path / '4.png').read_bytes()[:-20])
    return tmp_path


@pytest.mark.parametrize('workers', [0, 2])
def test_run_stops_and_names_the_file(folder: Path, workers: int):
    runner = toy_runner(folder / 'run', num_workers=workers, dataset=dict(broken=(4,), folder=str(folder)))
    with pytest.raises(UserError) as error:
        runner.train()
    assert message_of(error.value).startswith(f'{folder / "4.png"}: ')
    assert '--bad-data skip' in message_of(error.value)


def test_error_that_no_file_explains_is_raised_as_it_is(folder: Path):
    runner = toy_runner(folder / 'run', options=SKIP, dataset=dict(broken=(5,), folder=str(folder)))
    with pytest.raises(AssertionError, match='failed to load image'):
        runner.train()


def test_broken_file_is_left_out_and_listed_once(folder: Path):
    for workers in (0, 2):
        dataset = dict(broken=(4,), folder=str(folder))
        runner = toy_runner(folder / f'run{workers}', num_workers=workers, dataset=dataset, options=SKIP)
        runner.train()
        listed = (folder / f'run{workers}' / 'unreadable.txt').read_text().splitlines()
        assert len(listed) == 1 and listed[0].startswith(f'{folder / "4.png"}: ')
        indices = [int(sample[0]) for batch in runner.model.seen for sample in batch]
        assert 4 not in indices and len(indices) == 36
    assert differing(*(saved(folder / f'run{workers}' / 'iter_12.pth') for workers in (0, 2))) == []


def test_more_than_a_share_is_refused(folder: Path):
    (folder / '9.png').unlink()
    runner = toy_runner(folder / 'run', options=SKIP, dataset=dict(broken=(4, 9), folder=str(folder)))
    with pytest.raises(UserError, match='2 of 13 samples cannot be read'):
        runner.train()


def test_process_that_dies_names_the_file_it_held(folder: Path):
    runner = toy_runner(folder / 'run', num_workers=2, dataset=dict(deadly=7, folder=str(folder)))
    with pytest.raises(UserError, match='died or hangs') as error:
        runner.train()
    named = [line.strip() for line in str(error.value).splitlines() if line.startswith('  ')]
    assert named == [str(folder / '7.png')]


@pytest.mark.slow
def test_process_that_hangs_names_the_file_it_holds(folder: Path):
    dataset = dict(endless=7, folder=str(folder))
    runner = toy_runner(folder / 'run', num_workers=2, dataset=dataset, loader=dict(timeout=1))
    with pytest.raises(UserError, match='timed out after 1 seconds') as error:
        runner.train()
    assert f'  {folder / "7.png"}' in str(error.value)
