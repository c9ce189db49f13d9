"""Where checkpoints are written: whole and on the disk, or not at all; and what a full disk is told as."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mmengine.fileio import LocalBackend, get_file_backend, register_backend

from ...errors import UserError
from ...files import OF_THE_DISK, nearest_existing, write_durably

#: Name of :class:`WholeFiles` among MMEngine's backends.
BACKEND = 'effformer_dense.whole_files'


@register_backend(BACKEND, force=True)
class WholeFiles(LocalBackend):
    """MMEngine's backend of local files, whose files appear when they are whole, synced and read back."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write a file; what had its name stays until the new one is whole.

        Raises:
            OSError: that was not possible; says how much it takes and how much room there is.
        """
        path = Path(filepath)
        try:
            write_durably(path, obj)
        except OSError as error:
            free = shutil.disk_usage(nearest_existing(path.parent)).free
            text = f'{error.strerror}; it takes {len(obj) / 1e6:,.1f} MB, and {free / 1e6:,.1f} MB are free there'
            raise OSError(error.errno, text, str(path)) from error


def is_local(folder: str, backend_args: dict | None) -> bool:
    """Whether MMEngine would write to a folder of this machine."""
    return type(get_file_backend(folder, backend_args=backend_args)) is LocalBackend


@contextmanager
def disk_errors_told(work_dir: Path, what_stands: Callable[[], str]) -> Iterator[None]:
    """Turn errors of the disk into one that a user can act on.

    Args:
        work_dir: where a run writes.
        what_stands: sentences on what is left of the run and how it goes on.

    Raises:
        UserError: the disk is full, or cannot be written.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in OF_THE_DISK:
            raise
        what = error.filename or f'A file in {work_dir}'
        raise UserError(f'{what} could not be written: {error.strerror}. {what_stands()}') from error
