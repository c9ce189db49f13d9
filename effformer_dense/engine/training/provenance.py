"""What a training was made of: command, versions, commit and data, in one file of its work dir."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from mmengine.config import Config

from ...config.datasets import DatasetView, datasets_of
from ...files import write_text
from ...version import __version__

#: The file, a list with an entry for each start.
FILE = 'run.json'

_BLOCK = 1 << 20  # bytes

#: What is installed under several names, the first of which that is there counts.
_PACKAGES = {
    'torch': ('torch',),
    'numpy': ('numpy',),
    'mmengine': ('onedl-mmengine', 'mmengine'),
    'mmcv': ('onedl-mmcv', 'mmcv', 'mmcv-lite'),
    'mmdet': ('onedl-mmdetection', 'mmdet'),
    'mmseg': ('onedl-mmsegmentation', 'mmsegmentation'),
}


def record_start(cfg: Config, seed: int, resumed_from: Path | None) -> list[str]:
    """Add this start to the file.

    Args:
        cfg: config of the run, whose text is kept beside it by MMEngine.
        seed: of the run.
        resumed_from: the checkpoint that the run goes on from.

    Returns:
        Data sets that are not what they were at the last start.
    """
    path = Path(cfg.work_dir, FILE)
    starts = _read(path)
    entry = {
        'started': time.strftime('%Y-%m-%dT%H:%M:%S%z'),
        'command': sys.argv,
        'folder': os.getcwd(),
        'host': platform.node(),
        'config': cfg.filename,
        'config_sha256': sha256(cfg.pretty_text.encode()).hexdigest(),
        'seed': seed,
        'resumed_from': None if resumed_from is None else str(resumed_from),
        'processes': int(os.environ.get('WORLD_SIZE', 1)),
        'job': os.environ.get('SLURM_JOB_ID'),
        'versions': _versions(),
        'commit': _commit(Path.cwd()),
        'data': {split: [fingerprint(dataset) for dataset in datasets_of(cfg, split)] for split in ('train', 'val')},
    }
    write_text(path, json.dumps([*starts, entry], indent=2) + '\n')
    before = starts[-1].get('data') if starts and resumed_from is not None else None
    return [] if before is None else _changed(before, entry['data'])


def fingerprint(dataset: DatasetView) -> dict[str, Any]:
    """What tells one state of a data set from another, quickly: pictures are counted and weighed, not read."""
    annotation = dataset.annotation
    digest = _digest(annotation) if annotation is not None and annotation.is_file() else None
    folders = {}
    for key, folder in dataset.folders.items():
        sizes = list(_sizes(folder))
        folders[key] = {'folder': str(folder), 'files': len(sizes), 'bytes': sum(sizes)}
    return {'annotation': annotation and str(annotation), 'annotation_sha256': digest, 'folders': folders}


def _digest(path: Path) -> str:
    digest = sha256()
    with path.open('rb') as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _sizes(folder: Path) -> Iterator[int]:
    if not folder.is_dir():
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _sizes(Path(entry.path))
            elif entry.is_file():
                yield entry.stat().st_size


def _changed(before: Any, now: dict[str, Sequence[Any]]) -> list[str]:
    """Splits whose fingerprints differ."""
    return [split for split, prints in now.items() if isinstance(before, dict) and before.get(split) != list(prints)]


def _read(path: Path) -> list[dict[str, Any]]:
    """Earlier starts; a file that is no such list is put aside."""
    if not path.is_file():
        return []
    try:
        starts = json.loads(path.read_text(encoding='utf-8'))
    except ValueError:
        starts = None
    if isinstance(starts, list) and all(isinstance(start, dict) for start in starts):
        return starts
    path.replace(path.with_suffix('.unreadable'))
    return []


def _versions() -> dict[str, str | None]:
    found: dict[str, str | None] = {'python': platform.python_version(), 'effformer_dense': __version__}
    for package, names in _PACKAGES.items():
        found[package] = next(filter(None, map(_version, names)), None)
    return found


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _commit(folder: Path) -> dict[str, Any] | None:
    """Commit of the user's folder, and whether files differ from it; None where there is none, or no git."""

    def git(*arguments: str) -> str:
        command = ['git', '-C', str(folder), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()

    try:
        commit = git('rev-parse', 'HEAD')
        return {'commit': commit, 'is_changed': bool(git('status', '--porcelain', '--untracked-files=no'))}
    except (OSError, subprocess.SubprocessError):
        return None
