"""Samples of a training: each knows its place in the run, and is augmented as its place says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from mmengine.dist import get_dist_info
from torch.utils.data import DataLoader, Dataset, IterableDataset, Sampler

from .held import HeldSamples
from .randomness import SAMPLE, seed_generators
from .unreadable import UnreadableFiles


class Place(int):
    """Index of a sample that carries its place in the run; everywhere else it is the index.

    Attributes:
        round: how often the data had been gone through before.
        position: which sample of that round, counted over all processes: two processes with a batch of 4 augment
            their samples as one with a batch of 8 does.
    """

    round: int
    position: int

    def __new__(cls, index: int, round: int, position: int) -> Place:
        place = super().__new__(cls, index)
        place.round, place.position = round, position
        return place

    def __getnewargs__(self) -> tuple[int, int, int]:  # type: ignore[override]  # pickled on its way to a worker
        return int(self), self.round, self.position


class PlacedBatches(Sampler):
    """Batches of another sampler, as places instead of indices; can start in the middle of a round.

    Attributes:
        batches: the other sampler. Attributes that are not here are looked for there.
        round: which round the next iteration is.
        first: which batch the next iteration starts with. Those before are drawn and dropped, which loads nothing.
    """

    def __init__(self, batches: Any, batch_size: int) -> None:
        self.batches = batches
        self.batch_size = batch_size
        self.round = 0
        self.first = 0
        self._rank, self._world_size = get_dist_info()

    def __iter__(self) -> Iterator[list[Any]]:
        first, self.first = self.first, 0
        for number, batch in enumerate(islice(iter(self.batches), first, None), first):
            start = number * self.batch_size
            yield [self._place(index, start + offset) for offset, index in enumerate(batch)]

    def _place(self, index: Any, position: int) -> Any:
        """Place of an index; a sampler of videos yields pairs, which stay as they are."""
        if not isinstance(index, int):
            return index
        return Place(index, self.round, position * self._world_size + self._rank)

    def __len__(self) -> int:
        return len(self.batches)

    def __getattr__(self, name: str) -> Any:
        if name == 'batches':  # not there yet
            raise AttributeError(name)
        return getattr(self.batches, name)


class PlacedDataset(Dataset):
    """A data set that seeds the generators before it makes a sample; to others it looks like the one inside.

    Args:
        dataset: any that is indexed.
        seed: of the run.
        held: is told which sample each loading process is at.
        unreadable: what happens to samples whose files are broken.
    """

    _OWN = frozenset({'inner', 'seed', 'held', 'unreadable'})

    def __init__(self, dataset: Any, seed: int, held: HeldSamples, unreadable: UnreadableFiles) -> None:
        self.inner = dataset
        self.seed = seed
        self.held = held
        self.unreadable = unreadable

    def __getitem__(self, index: Any) -> Any:
        if not isinstance(index, Place):
            return self.inner[index]
        with self.held.holding(index):
            return self.unreadable.load(self.inner, int(index), lambda: self._seed(index))

    def _seed(self, place: Place) -> None:
        seed_generators(self.seed, SAMPLE, place.round, place.position)

    def __len__(self) -> int:
        return len(self.inner)

    def __getattr__(self, name: str) -> Any:
        if name in self._OWN or name.startswith('__'):  # not there yet, or torch asks for faster ways past __getitem__
            raise AttributeError(name)
        return getattr(self.inner, name)

    def __setattr__(self, name: str, value: Any) -> None:
        """Hooks change pipelines in the middle of a training."""
        if name in self._OWN:
            super().__setattr__(name, value)
        else:
            setattr(self.inner, name, value)


def place_samples(loader: DataLoader, seed: int, unreadable: UnreadableFiles) -> DataLoader:
    """Let a loader that has not been iterated over know the place of each sample.

    Data that come as a stream, and loaders without batches, stay as they are.

    Args:
        loader: built by MMEngine, sampler and all.
        seed: of the run.
        unreadable: what happens to samples whose files are broken.

    Returns:
        The same loader.
    """
    if isinstance(loader.dataset, (IterableDataset, PlacedDataset)) or loader.batch_sampler is None:
        return loader
    size = loader.batch_size if loader.batch_size is not None else getattr(loader.batch_sampler, 'batch_size', 1)
    held = HeldSamples(loader.num_workers)
    unreadable.watch(loader.dataset)
    # torch forbids to set these, since iterators that exist would not notice; none does.
    vars(loader)['dataset'] = PlacedDataset(loader.dataset, seed, held, unreadable)
    vars(loader)['batch_sampler'] = PlacedBatches(loader.batch_sampler, size)
    return loader


def files_of(dataset: Any, indices: Sequence[int]) -> list[str]:
    """Files that samples are made of, as far as the data set tells them; else their numbers."""
    return [name for index in indices for name in _files(dataset, index) or [f'sample {index}']]


def _files(dataset: Any, index: int) -> list[str]:
    try:
        info = dataset.get_data_info(index)
    except (AttributeError, IndexError, NotImplementedError):
        return []
    return [str(info[key]) for key in ('img_path', 'seg_map_path') if info.get(key)]
