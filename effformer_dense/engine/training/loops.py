"""MMEngine's training loops, which can begin in the middle and load nothing of what was trained on before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mmengine.registry import LOOPS
from mmengine.runner import BaseLoop, EpochBasedTrainLoop, IterBasedTrainLoop
from torch.utils.data import DataLoader

from .samples import PlacedBatches


class Batches:
    """Batches of a loader without end: after the last one it starts anew, in the order of the next round.

    Stands in for MMEngine's iterator, which, to go on with a run, loads what has been trained on once more, or passes
    over it for some samplers. Here it is enough to set ``round`` and ``taken`` before the first.

    Attributes:
        round: which round the last batch was of.
        taken: batches of this round that were given out.
        idle: how many times nothing is to be given out first.
    """

    def __init__(self, loader: DataLoader) -> None:
        self.loader = loader
        self.round = 0
        self.taken = 0
        self.idle = 0
        self._iterator: Iterator[Any] | None = None

    def skip_iter(self, num_iters: int) -> None:
        """Pass over nothing: what a loop has trained on before is not drawn again."""

    def __next__(self) -> Any:
        if self.idle:
            self.idle -= 1
            return None
        iterator = self._iterator or self._start()
        batch = next(iterator, None)
        if batch is None:
            self.round, self.taken = self.round + 1, 0
            batch = next(self._start())
        self.taken += 1
        return batch

    def _start(self) -> Iterator[Any]:
        """Iterate behind what was taken of the round."""
        self._iterator = None  # ends its loading processes
        set_round(self.loader, self.round, self.taken)
        self._iterator = iter(self.loader)
        return self._iterator


def set_round(loader: DataLoader, round: int, first: int) -> None:
    """Let the next iteration over a loader be that of a round, from a batch on."""
    batches = loader.batch_sampler
    samplers: tuple[Any, ...] = loader.sampler, getattr(batches, 'sampler', None)
    for sampler in samplers:
        if hasattr(sampler, 'set_epoch'):
            sampler.set_epoch(round)
    if isinstance(batches, PlacedBatches):
        batches.round, batches.first = round, first


def end_loading(loop: BaseLoop) -> None:
    """End the loading processes of a loop, as far as they outlive a round.

    When they are collected together with the loop that holds them, they are not told, and torch waits 5 s for each.
    """
    holders = [loop.dataloader, loop.dataloader_iterator] if isinstance(loop, ContinuedIterLoop) else [loop.dataloader]
    for holder in holders:
        iterator: Any = getattr(holder, '_iterator', None)  # torch's own name for one that persists
        if hasattr(iterator, '_shutdown_workers'):
            iterator._shutdown_workers()
        holder._iterator = None


@LOOPS.register_module()
class ContinuedEpochLoop(EpochBasedTrainLoop):
    """MMEngine's loop over epochs; a resumed one goes on in the middle of an epoch.

    Attributes:
        taken: batches of the epoch that were trained on before this process.
        started: the iteration that the epoch began with.
    """

    taken = 0
    started = 0

    def run_epoch(self) -> None:
        """Run what is left of an epoch."""
        set_round(self.dataloader, self._epoch, self.taken)
        self.started = self._iter - self.taken
        super().run_epoch()
        self.started, self.taken = self._iter, 0

    def run_iter(self, idx: int, data_batch: Any) -> None:
        """Run an iteration, numbered from the beginning of the epoch."""
        super().run_iter(idx + self.taken, data_batch)


@LOOPS.register_module()
class ContinuedIterLoop(IterBasedTrainLoop):
    """MMEngine's loop over iterations; a resumed one goes on with the batch that follows."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        theirs: Any = self.dataloader_iterator
        self._draws_to_skip = not hasattr(theirs, 'skip_iter')  # MMEngine up to 0.10.7
        if isinstance(self.dataloader.batch_sampler, PlacedBatches):  # no stream of data
            self.dataloader_iterator: Any = Batches(self.dataloader)

    def run(self) -> Any:
        """Train."""
        if self._draws_to_skip and isinstance(self.dataloader_iterator, Batches):
            self.dataloader_iterator.idle = self._iter
        return super().run()


_OURS = {EpochBasedTrainLoop: ContinuedEpochLoop, IterBasedTrainLoop: ContinuedIterLoop}


def continued(loop: Mapping[str, Any]) -> dict[str, Any]:
    """Config of a loop with ours in place of MMEngine's two; loops of others stay what they are."""
    cfg = dict(loop)
    if 'type' not in cfg and 'by_epoch' in cfg:
        cfg['type'] = EpochBasedTrainLoop if cfg.pop('by_epoch') else IterBasedTrainLoop
    kind = cfg.get('type')
    cls = LOOPS.get(kind) if isinstance(kind, str) else kind
    return {**cfg, 'type': _OURS[cls]} if cls in _OURS else cfg
