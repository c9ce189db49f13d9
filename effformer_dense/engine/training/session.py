"""What surrounds a training: its work dir is its own, is in order, and errors of the disk say how to go on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from mmengine.logging import print_log

from ...checkpoint.whole_files import newest_whole
from ...files import make_output_dir, remove_partial
from ...invocation import command, flags, spelled
from ...options import ConfigOptions, TrainOptions
from .lock import work_dir_in_use
from .storage import disk_errors_told

#: How launchers tell a process its number, and how many there are.
_LAUNCHERS = {
    'pytorch': ('RANK', 'WORLD_SIZE'),
    'slurm': ('SLURM_PROCID', 'SLURM_NTASKS'),
    'mpi': ('OMPI_COMM_WORLD_RANK', 'OMPI_COMM_WORLD_SIZE'),
}


@dataclass(frozen=True)
class Session:
    """A training as it was asked for.

    Attributes:
        options: config and overrides as the user gave them.
        resume: as for :func:`..runner.train`.
        work_dir: where it writes.
        training: options besides the config.
    """

    options: ConfigOptions
    resume: str | None
    work_dir: Path
    training: TrainOptions = field(default_factory=TrainOptions)

    @property
    def is_first_process(self) -> bool:
        return rank_and_size(self.options.launcher)[0] == 0

    def going_on(self) -> str:
        """The command that goes on with what is in the work dir, or that starts again where there is nothing."""
        launched = command('train')
        if self.options.launcher == 'pytorch':
            number = os.environ.get('LOCAL_WORLD_SIZE', '1')
            launched = f'torchrun --nproc-per-node {number} {launched.removeprefix("python ")}'
        elif self.options.launcher == 'slurm':
            launched = f'srun --ntasks={os.environ.get("SLURM_NTASKS", "1")} {launched}'
        resume = 'auto' if newest_whole(self.work_dir)[0] else self.resume
        end = '' if resume is None else ' --resume' if resume == 'auto' else f' --resume {spelled(resume)}'
        return ' '.join([launched, spelled(self.options), *flags(self.training)]) + end

    def what_stands(self) -> str:
        """Which checkpoint is left, and how to go on from it once there is room."""
        checkpoint, _ = newest_whole(self.work_dir)
        last = f'The last whole checkpoint is {checkpoint}.' if checkpoint else 'There is no checkpoint yet.'
        return f'{last} Make room, then: {self.going_on()}'

    @contextmanager
    def open(self) -> Iterator[None]:
        """Surround a training.

        Raises:
            UserError: see :func:`.lock.work_dir_in_use` and :func:`.storage.disk_errors_told`.
        """
        with ExitStack() as stack:
            stack.enter_context(disk_errors_told(self.work_dir, self.what_stands))
            if self.is_first_process:
                stack.enter_context(work_dir_in_use(self.work_dir))
                for path in remove_partial(self.work_dir):
                    print_log(f'{path} was left half written by a training that has ended; it is removed.', 'current')
            else:
                make_output_dir(self.work_dir)
            yield


def rank_and_size(launcher: str) -> tuple[int, int]:
    """Number of this process and how many there are, before they have met."""
    if launcher not in _LAUNCHERS:
        return 0, 1
    rank, size = (os.environ.get(name, '') for name in _LAUNCHERS[launcher])
    return int(rank or 0), int(size or 1)
