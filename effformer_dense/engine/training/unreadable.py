"""Samples of a training whose files turn out to be broken: stop there, or go on with the next and keep a list."""

from __future__ import annotations

from collections.abc import Callable
from multiprocessing import RawArray
from pathlib import Path
from typing import Any, Literal

from mmengine.dist import get_rank
from mmengine.hooks import Hook

from ...data.pictures import read_picture
from ...data.segmentation_maps import read_segmentation_map
from ...errors import UserError
from ...files import write_text

#: Share of a data set that may be left out; where there is more, something else is wrong.
_MOST = 0.05


class UnreadableFiles:
    """What happens to samples that cannot be made, and which those were.

    Args:
        policy: 'fail' at the first, or 'skip' it and take the sample that follows in the data set instead.
    """

    def __init__(self, policy: Literal['fail', 'skip'] = 'fail') -> None:
        self.policy = policy
        self._dataset: Any = None
        self._is_bad = RawArray('b', 0)

    def watch(self, dataset: Any) -> None:
        """Start with the samples of a data set; loading processes that are started later share what is noted."""
        self._dataset = dataset
        self._is_bad = RawArray('b', len(dataset))

    def load(self, dataset: Any, index: int, seed: Callable[[], None]) -> Any:
        """Make a sample, or the next that can be made.

        Args:
            dataset: where from.
            index: which.
            seed: called before each attempt, so that what is drawn is the same whether one failed now or before.

        Raises:
            UserError: its files are broken, or too many have been.
        """
        count = len(dataset)
        for candidate in (number % count for number in range(index, index + count)):
            if self._is_bad[candidate]:
                continue
            seed()
            try:
                return dataset[candidate]
            except Exception as error:  # whatever decoders and pipelines raise; what no file explains goes on its way
                reason = str(error) if isinstance(error, UserError) else broken_file(dataset, candidate)
                if reason is None:
                    raise
                if self.policy == 'fail':
                    raise UserError(
                        f'{reason}\nPut it right and go on with --resume, or leave such files out: --bad-data skip.'
                    ) from error
                self._leave_out(candidate, reason)
        raise UserError('No sample of the data set can be made.')

    def _leave_out(self, index: int, reason: str) -> None:
        self._is_bad[index] = 1
        number, count = sum(self._is_bad), len(self._is_bad)
        if number > max(1, _MOST * count):
            raise UserError(
                f'{number} of {count} samples cannot be read, more than --bad-data skip leaves out ({_MOST:.0%}). '
                f'The last of them: {reason}'
            )

    def found(self) -> dict[int, str]:
        """Samples that were left out by this process and its loading processes, with the reason."""
        indices = [index for index, is_bad in enumerate(self._is_bad) if is_bad]
        return {index: broken_file(self._dataset, index) or f'sample {index}: refused' for index in indices}


def broken_file(dataset: Any, index: int) -> str | None:
    """Why a file of a sample cannot be read; None if all can, or the data set does not tell its files."""
    try:
        info = dataset.get_data_info(index)
    except (AttributeError, NotImplementedError):
        return None
    readers: dict[str, Callable[[Path], Any]] = {'img_path': read_picture, 'seg_map_path': read_segmentation_map}
    for key, read in readers.items():
        if info.get(key):
            try:
                read(Path(info[key]))
            except UserError as error:
                return str(error)
    return None


class UnreadableFilesHook(Hook):
    """List what was left out in the work dir, and tell how many there are after each epoch and before validation.

    Args:
        files: that the training loader notes in.
    """

    def __init__(self, files: UnreadableFiles) -> None:
        self.files = files
        self._number = 0

    def after_train_epoch(self, runner) -> None:
        self._tell(runner)

    def before_val(self, runner) -> None:
        self._tell(runner)

    def _tell(self, runner) -> None:
        found = self.files.found()
        if len(found) == self._number:
            return
        self._number = len(found)
        name = 'unreadable.txt' if get_rank() == 0 else f'unreadable_rank{get_rank()}.txt'
        path = Path(runner.work_dir, name)
        write_text(path, ''.join(f'{reason}\n' for reason in dict.fromkeys(found.values())))
        runner.logger.warning(f'{len(found)} samples left out, whose files cannot be read: {path}')
