"""Samples are what their place in the run says, whoever makes them."""

from __future__ import annotations

import pickle
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import torch
from torch.utils.data import BatchSampler

from effformer_dense.engine.training import samples
from effformer_dense.engine.training.randomness import ITERATION, SAMPLE, seed_generators
from effformer_dense.engine.training.samples import Place, PlacedBatches

from .noisy import differing, saved, toy_runner


def test_place_is_the_index_and_travels():
    place = pickle.loads(pickle.dumps(Place(7, 2, 30)))
    assert place == 7 and [*range(10)][place] == 7 and hash(place) == hash(7)
    assert (place.round, place.position) == (2, 30)


def test_two_processes_have_the_places_of_one():
    def places(indices: list[int], size: int, rank: int, world_size: int) -> list[Place]:
        with mock.patch.object(samples, 'get_dist_info', lambda: (rank, world_size)):
            return [place for batch in PlacedBatches(BatchSampler(indices, size, False), size) for place in batch]

    indices = [5, 3, 8, 1, 9, 2, 7, 4]
    one = {int(place): place.position for place in places(indices, 4, 0, 1)}
    two = {int(place): place.position for rank in (0, 1) for place in places(indices[rank::2], 2, rank, 2)}
    assert one == two == {index: position for position, index in enumerate(indices)}


def test_batches_can_begin_in_the_middle_once():
    batches = PlacedBatches(BatchSampler(range(7), 2, False), 2)
    whole = list(batches)
    batches.first = 2
    middle = list(batches)
    assert middle == whole[2:] and [p.position for p in middle[0]] == [4, 5]
    assert list(batches) == whole


def test_streams_of_places_differ_and_repeat():
    def drawn(*place: int) -> tuple[float, float]:
        seed_generators(*place)
        return float(np.random.rand()), float(torch.rand(1))

    places = [(0, SAMPLE, 0, 0), (0, ITERATION, 0, 0), (0, SAMPLE, 0, 1), (0, SAMPLE, 1, 0), (1, SAMPLE, 0, 0)]
    values = [drawn(*place) for place in places]
    assert len({first for first, _ in values}) == len({second for _, second in values}) == 5
    assert values == [drawn(*place) for place in places]


@pytest.mark.parametrize('by_epoch', [True, False])
def test_any_number_of_loading_processes_gives_the_same_weights(tmp_path: Path, by_epoch: bool):
    runners = [toy_runner(tmp_path / str(n), num_workers=n, by_epoch=by_epoch) for n in (0, 2)]
    for runner in runners:
        runner.train()
    assert runners[0].model.seen == runners[1].model.seen
    assert differing(*(saved(tmp_path / n / 'iter_12.pth') for n in '02')) == []


def test_samples_are_augmented_differently_each_epoch(tmp_path: Path):
    runner = toy_runner(tmp_path)
    runner.train()
    drawn = [sample[1] for batch in runner.model.seen for sample in batch]
    assert len(set(drawn)) == len(drawn) == 36


def test_hooks_change_the_data_set_inside(tmp_path: Path):
    runner = toy_runner(tmp_path)
    dataset = runner.train_dataloader.dataset
    dataset.folder = 'elsewhere'
    assert dataset.inner.folder == 'elsewhere' and 'folder' not in vars(dataset)
    assert dataset.metainfo == {} and len(dataset) == 13
