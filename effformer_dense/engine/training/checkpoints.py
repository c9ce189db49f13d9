"""When checkpoints are written and removed: the old one goes when the new one stands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import CheckpointHook
from mmengine.registry import HOOKS
from mmengine.runner import EpochBasedTrainLoop, Runner

from ...checkpoint.whole_files import POINTER
from ...files import write_text

#: In the meta of a checkpoint: names of files that go when it stands, and whether it goes with the next one itself.
OUTDATED, INTERIM = 'outdated_checkpoints', 'interim'
#: In the message hub: iteration after which the last validation that was finished took place.
_VALIDATED = 'validated_iter'


@HOOKS.register_module()
class WholeCheckpointHook(CheckpointHook):
    """MMEngine's hook, which removes a checkpoint after the one that takes its place is written, and not before.

    A training that is killed between the two leaves both: the new one names the old one, which goes when the training
    goes on. A validation that a training was ended in, or before, takes place when it goes on: it may choose the best
    checkpoint. Takes the place of ``CheckpointHook`` in every config.
    """

    save_best: list[str] | None
    file_backend: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._outdated: list[str] = []
        self._left_over: list[str] = []
        self._resumed_in: Path | None = None

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Take up what a checkpoint says about others, if the training goes on from it."""
        meta = checkpoint.get('meta')
        if not runner._resume or not isinstance(meta, dict):
            return
        file = Path(runner._load_from)
        self._resumed_in = file.parent
        runner.saved_iter = meta.get('iter')
        self._left_over = [Path(name).name for name in meta.get(OUTDATED, ()) if isinstance(name, str)]
        if meta.get(INTERIM):
            self._outdated = [file.name]

    def before_train(self, runner: Runner) -> None:
        """Remove what should have been gone already; other runs' files are left alone."""
        hub, out_dir = runner.message_hub, Path(runner.work_dir)
        if self.out_dir is not None and not _same(Path(self.out_dir), out_dir):
            out_dir = Path(self.out_dir, out_dir.name)  # as MMEngine will have it
        elsewhere = self._resumed_in is not None and not _same(self._resumed_in, out_dir)
        if elsewhere and 'keep_ckpt_ids' in hub.runtime_info:
            hub.update_info('keep_ckpt_ids', [])  # they number files of the other folder
        super().before_train(runner)
        if elsewhere:
            self._outdated, self._left_over = [], []
            if self.save_best and len(self.key_indicators) == 1:
                self.best_ckpt_path = None  # stays where it is
        self.file_backend = _RemovesLater(self.file_backend, self._outdated)
        self._left_over, left_over = [], self._left_over
        self._remove(left_over)
        if self._resumed_in is not None and _validation_is_due(runner):
            runner.val_loop.run()

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Note that a validation took place, and save the best checkpoint."""
        runner.message_hub.update_info(_VALIDATED, runner.iter)
        super().after_val_epoch(runner, metrics or {})

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Let the checkpoint name what is to go once it stands."""
        if self._outdated:
            checkpoint['meta'][OUTDATED] = [Path(name).name for name in self._outdated]

    def after_train(self, runner: Runner) -> None:
        """Say which checkpoint was the best."""
        super().after_train(runner)
        hub = runner.message_hub
        if 'best_ckpt' in hub.runtime_info and 'best_score' in hub.runtime_info:
            key = self.key_indicators[0] if self.save_best else 'score'
            best = f'{hub.get_info("best_score"):.4f}'
            runner.logger.info(f'Best checkpoint ({key} {best}): {hub.get_info("best_ckpt")}')

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict[str, Any]) -> None:
        """MMEngine's method, in another order: the new checkpoint, the pointer to it, and then the removal."""
        if self.max_keep_ckpts > 0 and (not self.keep_ckpt_ids or self.keep_ckpt_ids[-1] != step):
            if len(self.keep_ckpt_ids) == self.max_keep_ckpts:
                self._outdated.append(self.filename_tmpl.format(self.keep_ckpt_ids.popleft()))
            self.keep_ckpt_ids.append(step)
            runner.message_hub.update_info('keep_ckpt_ids', list(self.keep_ckpt_ids))
        name = self.filename_tmpl.format(step)
        self.last_ckpt = self.file_backend.join_path(self.out_dir, name)
        runner.message_hub.update_info('last_ckpt', self.last_ckpt)
        runner.save_checkpoint(
            self.out_dir,
            name,
            self.file_client_args,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            meta=meta,
            by_epoch=self.by_epoch,
            backend_args=self.backend_args,
            **self.args,
        )
        if is_main_process():
            write_text(Path(runner.work_dir, POINTER), str(self.last_ckpt))
        self._remove_outdated()

    def _save_best_checkpoint(self, runner: Runner, metrics: dict[str, Any]) -> None:
        if self._can_rank(runner, metrics):
            super()._save_best_checkpoint(runner, metrics)
            self._remove_outdated()

    def _can_rank(self, runner: Runner, metrics: dict[str, Any]) -> bool:
        """Whether the metric that 'auto' means can be compared; MMEngine would end the training if not."""
        if self.save_best and 'auto' in self.key_indicators:
            try:
                self._init_rule(self.rules, [next(iter(metrics))])
            except ValueError as error:
                runner.logger.warning(
                    f'No best checkpoint is kept: {error} Name the metric and its rule: save_best, rule.'
                )
                self.save_best = None
        return bool(self.save_best)

    def _remove_outdated(self) -> None:
        names = [*self._outdated]
        self._outdated.clear()
        self._remove(names)

    def _remove(self, names: list[str]) -> None:
        if not is_main_process():
            return
        best = getattr(self, 'best_ckpt_path_dict', {'': getattr(self, 'best_ckpt_path', None)})
        written = {Path(path).name for path in (self.last_ckpt, *best.values()) if path}
        backend = self.file_backend
        for name in {Path(name).name for name in names} - written:
            path = backend.join_path(self.out_dir, name)
            if backend.isfile(path):
                backend.remove_now(path)
            elif backend.isdir(path):  # DeepSpeed's are folders
                backend.rmtree_now(path)


class _RemovesLater:
    """A file backend that notes what is to be removed."""

    def __init__(self, backend: Any, noted: list[str]) -> None:
        self.backend = backend
        self.remove_now, self.rmtree_now = backend.remove, backend.rmtree
        self.noted = noted

    def __getattr__(self, name: str) -> Any:
        return getattr(self.backend, name)

    def remove(self, path: str) -> None:
        """Note a file."""
        self.noted.append(path)

    def rmtree(self, path: str) -> None:
        """Note a folder."""
        self.noted.append(path)


def _validation_is_due(runner: Runner) -> bool:
    """Whether a training has to validate at the place that it goes on from, and has not."""
    loop = runner.train_loop
    if runner.val_loop is None or runner.message_hub.runtime_info.get(_VALIDATED) == loop.iter:
        return False
    by_epoch = isinstance(loop, EpochBasedTrainLoop)
    if by_epoch and loop.iter != loop.epoch * len(loop.dataloader):
        return False  # within an epoch
    loop._decide_current_val_interval()
    done, last = (loop.epoch, loop.max_epochs) if by_epoch else (loop.iter, loop.max_iters)
    return done >= max(loop.val_begin, 1) and (done % loop.val_interval == 0 or done == last)


def _same(one: Path, other: Path) -> bool:
    return one.resolve() == other.resolve()
