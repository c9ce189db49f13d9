"""MMEngine's Runner as this package trains with it."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from mmengine.dist import get_rank
from mmengine.hooks import CheckpointHook, EMAHook, Hook
from mmengine.registry import HOOKS
from mmengine.runner import BaseLoop, Runner
from torch import nn
from torch.utils.data import DataLoader

from ...errors import UserError
from ...options import TrainOptions
from ..quiet import QuietRunner
from . import autocast as autocast  # registers its wrapper
from .checkpoints import WholeCheckpointHook
from .continuation import ContinuationHook
from .differences import config_differences
from .interruption import InterruptionHook, Request
from .loops import continued, end_loading
from .numbers import NumberGuard, single_wrappers
from .provenance import FILE, record_start
from .randomness import RandomnessHook
from .samples import PlacedDataset, files_of, place_samples
from .sharding import ShardedModel, ShardsHook, gathered, shard_average
from .statistics import StatisticsHook
from .storage import BACKEND, is_local
from .unreadable import UnreadableFiles, UnreadableFilesHook
from .workers import shield_workers

#: After this many seconds without a batch, loading hangs, unless the config has another ``timeout``.
_TIMEOUT_S = 600

#: Differences between two configs that are shown; more of them make another run.
_SHOWN = 20


class TrainingRunner(QuietRunner):
    """A runner whose training can be stopped anywhere and gone on with.

    Attributes:
        going_on: the command that goes on with the training.
        options: what the user chose besides the config; to be set before :meth:`train`.
        saved_iter: iteration after which a checkpoint was written that a training can go on from; None before that.
    """

    _train_dataloader: Any

    going_on: Callable[[], str] = staticmethod(lambda: 'the same command with --resume')
    options = TrainOptions()
    saved_iter: int | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._unreadable = UnreadableFiles()
        self._continuation = ContinuationHook()

    def dump_config(self) -> None:
        """Write the config to the work dir, in full."""
        Runner.dump_config(self)

    def train(self) -> nn.Module:
        """Train; signals end it in good order, see :mod:`.interruption`.

        Raises:
            Interrupted: a signal has ended it.
            UserError: numbers are not finite, files cannot be read, or a loading process died or hangs.
        """
        self._unreadable.policy = self.options.bad_data
        with Request().listening() as request:
            for hook in (
                RandomnessHook(self.common_seed),
                self._continuation,
                ShardsHook(),
                StatisticsHook(),
                NumberGuard(self.options.skip_bad_steps),
                UnreadableFilesHook(self._unreadable),
                InterruptionHook(request),
            ):
                self.register_hook(hook)
            try:
                return super().train()
            except RuntimeError as error:
                loading = self._loading_error(error)
                if loading is None:
                    raise
                raise loading from error
            finally:
                for loop in (self._train_loop, self._val_loop):
                    if isinstance(loop, BaseLoop):
                        end_loading(loop)

    def register_hook(self, hook: Hook | dict[str, Any], priority: Any = None) -> None:
        """Register a hook; ours in the place of MMEngine's that writes checkpoints."""
        if isinstance(hook, dict):
            kind = hook.get('type')
            if (HOOKS.get(kind) if isinstance(kind, str) else kind) is CheckpointHook:
                hook = dict(hook, type=WholeCheckpointHook)
        super().register_hook(hook, priority)

    def record(self, resumed_from: Path | None) -> None:
        """Note in the work dir what is about to run, and tell if the data changed since the run began.

        Args:
            resumed_from: the checkpoint that the run goes on from.
        """
        if get_rank() != 0:
            return
        for split in record_start(self.cfg, self.common_seed, resumed_from):
            self.logger.warning(f'The data of {split} are not what they were at the last start: see {FILE}.')

    @property
    def common_seed(self) -> int:
        """The seed that all processes have in common."""
        apart = get_rank() if self._randomness_cfg.get('diff_rank_seed') else 0
        return int(self.seed) - apart

    @staticmethod
    def build_dataloader(dataloader: DataLoader | dict, *args: Any, **kwargs: Any) -> DataLoader:
        """Build a loader whose processes outlive the signals that end a training."""
        return shield_workers(QuietRunner.build_dataloader(dataloader, *args, **kwargs))

    def build_train_loop(self, loop: Any) -> Any:
        """MMEngine's loop, or ours in its place, over data whose samples know their place in the run."""
        if not isinstance(self._train_dataloader, DataLoader):
            cfg = dict(self._train_dataloader)
            if cfg.get('num_workers', 0):
                cfg.setdefault('timeout', _TIMEOUT_S)
            self._train_dataloader = self.build_dataloader(cfg, seed=self.common_seed)
        place_samples(self._train_dataloader, self.common_seed, self._unreadable)
        return super().build_train_loop(continued(loop) if isinstance(loop, Mapping) else loop)

    def save_checkpoint(
        self,
        out_dir: str,
        filename: str,
        file_client_args: dict | None = None,
        save_optimizer: bool = True,
        save_param_scheduler: bool = True,
        meta: dict | None = None,
        by_epoch: bool = True,
        backend_args: dict | None = None,
    ) -> None:
        """Write a checkpoint; on local disks it is whole, or the one of that name stays as it was.

        Raises:
            OSError: it cannot be written.
        """
        meta = dict(meta or {}, world_size=self.world_size)
        if file_client_args is None and is_local(out_dir, backend_args):
            backend_args = dict(backend=BACKEND)
        with gathered(self._sharded(save_optimizer)):
            super().save_checkpoint(
                out_dir, filename, file_client_args, save_optimizer, save_param_scheduler, meta, by_epoch, backend_args
            )
        if save_optimizer and save_param_scheduler:
            self.saved_iter = meta.get('iter', self.iter + (not by_epoch))

    def load_or_resume(self) -> None:
        """Load what the training begins with; processes that shard the model keep their parts of it from here on."""
        super().load_or_resume()
        if isinstance(self.model, ShardedModel):
            self.model.shard(wrapper.optimizer for wrapper in single_wrappers(self.optim_wrapper))
            for hook in self._averages():
                shard_average(hook)

    def _sharded(self, with_optimizer: bool) -> list[Any]:
        """What of a checkpoint is in parts."""
        if not isinstance(self.model, ShardedModel):
            return []
        averages = [hook.ema_model for hook in self._averages()]
        return [self.model.module, *averages, *([self.optim_wrapper] if with_optimizer else [])]

    def _averages(self) -> list[EMAHook]:
        return [hook for hook in self.hooks if isinstance(hook, EMAHook)]

    def resume(self, filename: str, *args: Any, **kwargs: Any) -> None:
        """Resume, and begin where the checkpoint was saved."""
        super().resume(filename, *args, **kwargs)
        self._continuation.go_on(self)

    def load_checkpoint(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Load a checkpoint; of a run that is gone on with, show what its config has otherwise."""
        checkpoint = super().load_checkpoint(*args, **kwargs)
        text = checkpoint['meta'].get('cfg') if self._resume else None
        if isinstance(text, str):
            self._show_differences(config_differences(text, self.cfg.pretty_text))
        return checkpoint

    def _show_differences(self, lines: list[str]) -> None:
        if lines:
            more = f'\n  and {len(lines) - _SHOWN} more' if len(lines) > _SHOWN else ''
            shown = '\n'.join(f'  {line}' for line in lines[:_SHOWN])
            self.logger.warning(f'The run goes on with another config than it began with:\n{shown}{more}')

    def prepare_handler(self, handler: logging.Handler) -> None:
        """Let an error of the disk, for which logging prints a traceback per line, end the training."""
        super().prepare_handler(handler)
        if isinstance(handler, logging.FileHandler):
            handler.handleError = partial(_raise_disk_error, handler)  # type: ignore[method-assign]

    def _loading_error(self, error: RuntimeError) -> UserError | None:
        """What a user can make of an error about loading processes; None if it is of another kind."""
        dataset = getattr(self._train_dataloader, 'dataset', None)
        held = dataset.held.behind(error) if isinstance(dataset, PlacedDataset) else None
        if held is None:
            return None
        files = '\n'.join(f'  {name}' for name in files_of(dataset, held)) or '  nothing of the training data'
        return UserError(
            f'{str(error).strip()}\nA process that loads data died or hangs. What was being read:\n{files}\n'
            'Killed means that memory ran out, as a rule: fewer train_dataloader.num_workers, or smaller pictures. '
            'Where one file is at fault, put it right or take it out. Then go on with --resume.'
        )


def _raise_disk_error(handler: logging.FileHandler, record: logging.LogRecord) -> None:
    error = sys.exc_info()[1]
    if isinstance(error, OSError):
        raise OSError(error.errno, error.strerror, handler.baseFilename)
    logging.Handler.handleError(handler, record)
