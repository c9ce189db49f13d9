"""Where a training is in its data and between two steps: into each checkpoint, and back out of it."""

from __future__ import annotations

from typing import Any

from mmengine.dataset import InfiniteSampler
from mmengine.dist import get_world_size
from mmengine.hooks import EarlyStoppingHook, Hook
from torch import Tensor, nn

from ...checkpoint.whole_model import unwrapped
from .loops import ContinuedEpochLoop, ContinuedIterLoop
from .samples import PlacedBatches
from .sharding import whole

#: Entry of a checkpoint with what MMEngine does not save.
ENTRY = 'effformer_dense'

#: How MMEngine begins to say that gradients are lost.
_LOST = 'Resumed iteration number is not divisible'


class ContinuationHook(Hook):
    """Save the place in the data, gradients that wait for a step, and how long nothing has got better for those that
    stop early; a resumed run has them back.

    Random states are not among it: they follow from the place (:mod:`.randomness`).
    """

    priority = 'VERY_HIGH'  # before weights of a moving average take the place of those that were trained

    def __init__(self) -> None:
        self._entry: dict[str, Any] | None = None

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        meta, loop = checkpoint['meta'], runner.train_loop
        waited = [(hook.wait_count, hook.best_score) for hook in _early_stopping(runner)]
        if waited:
            checkpoint.setdefault(ENTRY, {}).update(waited=waited)
        if not _is_placed(loop):
            return
        round, taken = meta['epoch'], 0
        if isinstance(loop, ContinuedIterLoop):
            round, taken = loop.dataloader_iterator.round, loop.dataloader_iterator.taken
        elif meta['epoch'] == loop.epoch:
            taken = meta['iter'] - loop.started
        checkpoint.setdefault(ENTRY, {}).update(
            round=round,
            taken=taken,
            samples=len(loop.dataloader.dataset),
            step=_samples_per_step(loop.dataloader),
            gradients=_gradients(runner.model) if get_world_size() == 1 else {},
        )

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        self._entry = checkpoint.get(ENTRY)
        waited = (self._entry or {}).get('waited', ()) if runner._resume else ()
        for hook, (wait_count, best_score) in zip(_early_stopping(runner), waited, strict=False):
            hook.wait_count, hook.best_score = wait_count, best_score

    def go_on(self, runner) -> None:
        """Take up the place and the gradients of the checkpoint that was loaded."""
        loop, entry = runner.train_loop, self._entry or {}
        if not _is_placed(loop):
            return
        round, taken = _place(runner, loop.dataloader, entry) if 'round' in entry else _guessed(loop)
        if isinstance(loop, ContinuedIterLoop):
            loop.dataloader_iterator.round, loop.dataloader_iterator.taken = round, taken
        else:
            loop.taken = taken
        if entry.get('gradients'):
            _set_gradients(runner.model, entry['gradients'])
            runner.logger.addFilter(lambda record: not record.getMessage().startswith(_LOST))


def _early_stopping(runner: Any) -> list[EarlyStoppingHook]:
    return [hook for hook in runner.hooks if isinstance(hook, EarlyStoppingHook)]


def _is_placed(loop: Any) -> bool:
    """Whether a loop can begin in the middle: it is ours, and its data are no stream."""
    is_ours = isinstance(loop, (ContinuedEpochLoop, ContinuedIterLoop))
    return is_ours and isinstance(loop.dataloader.batch_sampler, PlacedBatches)


def _place(runner: Any, loader: Any, entry: dict[str, Any]) -> tuple[int, int]:
    """Round and batches taken of it; in batches of this run, where those had another size."""
    samples, step = len(loader.dataset), _samples_per_step(loader)
    if samples != entry['samples']:
        runner.logger.warning(
            f'The data set has {samples:,} samples, {entry["samples"]:,} when the checkpoint was saved: its current '
            'round through the data begins anew.'
        )
        return entry['round'], 0
    return entry['round'], entry['taken'] * entry['step'] // step


def _guessed(loop: Any) -> tuple[int, int]:
    """The place in a checkpoint that MMEngine wrote alone, if nothing has changed since."""
    per_round = len(loop.dataloader)
    if isinstance(loop, ContinuedEpochLoop):
        taken = loop.iter - loop.epoch * per_round
        return loop.epoch, taken if 0 <= taken <= per_round else 0
    if isinstance(getattr(loop.dataloader.batch_sampler, 'sampler', None), InfiniteSampler):
        return 0, loop.iter
    return divmod(loop.iter, per_round)


def _samples_per_step(loader: Any) -> int:
    """Samples of a batch, in all processes."""
    return (loader.batch_size or getattr(loader.batch_sampler, 'batch_size', 1)) * get_world_size()


def _gradients(model: nn.Module) -> dict[str, Tensor]:
    """Gradients that wait for a step; empty after one."""
    return {name: whole(p.grad).cpu() for name, p in unwrapped(model).named_parameters() if p.grad is not None}


def _set_gradients(model: nn.Module, gradients: dict[str, Tensor]) -> None:
    parameters = dict(unwrapped(model).named_parameters())
    for name, gradient in gradients.items():
        if name in parameters:
            parameters[name].grad = gradient.to(parameters[name].device)
