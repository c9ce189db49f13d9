"""What an earlier training has left in a work dir, which a new one would write over."""

from __future__ import annotations

import os
import re
import shutil
import time
from pathlib import Path

from mmengine.config import Config

from ...checkpoint.whole_files import EARLIER, POINTER
from ...config.nodes import leaves
from ...errors import UserError

#: Checkpoints as MMEngine names them: files, or folders where DeepSpeed writes them.
_CHECKPOINT = re.compile(r'(best_.+_)?(epoch|iter)_\d+\.pth')


def check_not_wanted(cfg: Config) -> None:
    """Check that a config does not begin with what :func:`set_aside` is going to move.

    Raises:
        UserError: it does.
    """
    left = {os.path.realpath(path) for folder in _folders(cfg) for path in _left_in(folder)}
    for place, value in leaves(cfg._cfg_dict) if left else ():
        if isinstance(value, str) and os.path.realpath(value) in left:
            raise UserError(
                f'{place} is {value}, of an earlier training in {cfg.work_dir}, to which this training writes as well. '
                'To go on with that one: --resume. To begin with its weights: another --work-dir.'
            )


def set_aside(cfg: Config) -> list[Path]:
    """Move checkpoints to folders of their own beside the new ones, and copy the config that was dumped with them.

    Returns:
        The folders; none where there are no checkpoints.
    """
    made = []
    for folder in _folders(cfg):
        paths = _left_in(folder)
        if paths:
            newest = max(path.stat().st_mtime for path in paths)
            target = _unused(folder / time.strftime(f'{EARLIER}%Y%m%d_%H%M%S', time.localtime(newest)))
            target.mkdir()
            for path in paths:
                path.rename(target / path.name)
            dumped = folder / Path(cfg.filename or '').name
            if dumped.is_file():
                shutil.copy2(dumped, target)
            made.append(target)
    return made


def _folders(cfg: Config) -> list[Path]:
    """Where a training writes checkpoints: into its work dir, and where the config has another folder."""
    work_dir, out_dir = Path(cfg.work_dir), cfg.get('default_hooks', {}).get('checkpoint', {}).get('out_dir')
    folders = [work_dir, *([Path(out_dir, work_dir.name)] if out_dir and '://' not in out_dir else [])]
    return [folder for folder in dict.fromkeys(folders) if folder.is_dir()]


def _left_in(folder: Path) -> list[Path]:
    """Checkpoints in a folder and the pointer to the last one; nothing if no checkpoint is there."""
    checkpoints = [path for path in folder.iterdir() if _CHECKPOINT.fullmatch(path.name)]
    pointer = folder / POINTER
    return [*checkpoints, *([pointer] if pointer.is_file() else [])] if checkpoints else []


def _unused(path: Path) -> Path:
    number, tried = 1, path
    while tried.exists():
        number += 1
        tried = path.with_name(f'{path.name}_{number}')
    return tried
