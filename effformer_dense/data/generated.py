"""Data sets of generated scenes: made once, recognised again, and never in the way of somebody's files."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from mmengine.logging import print_log

from ..errors import UserError, choice_error
from ..files import check_output_dir
from ..locks import locked
from .shapes import GENERATOR_VERSION

_MANIFEST = 'shapes.json'


@dataclass(frozen=True)
class ShapesSpec:
    """What a generated data set consists of.

    Attributes:
        splits: pictures per split.
        size_px: side of the square pictures.
        seed: of everything random.
    """

    splits: dict[str, int] = field(default_factory=lambda: {'train': 720, 'val': 120})
    size_px: int = 192
    seed: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.splits, Mapping):
            raise UserError(f'shapes.splits must be a dict such as dict(train=720, val=120); got {self.splits!r}.')
        values = {'size_px': (self.size_px, 32), 'seed': (self.seed, 0)}
        values |= {f'splits.{name}': (count, 1) for name, count in self.splits.items()}
        for name, (value, least) in values.items():
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise UserError(f'shapes.{name} must be a whole number of {least} or more; got {value!r}.')

    @classmethod
    def from_config(cls, shapes: Mapping[str, Any] | None) -> ShapesSpec:
        """Spec of the ``shapes`` entry of a config.

        Raises:
            UserError: it has a field that does not exist, or a value that cannot be.
        """
        known = [field.name for field in fields(cls)]
        for key in shapes or ():
            if key not in known:
                raise choice_error('Field of shapes', key, known)
        return cls(**(shapes or {}))


#: Writes one split: root of the data set, name of the split, number of pictures, spec.
SplitWriter = Callable[[Path, str, int, ShapesSpec], None]


def ensure_generated(root: Path, spec: ShapesSpec, layout: str, write_split: SplitWriter) -> Path:
    """Make a data set under ``root`` unless it is there already.

    It is written beside ``root`` and renamed when complete. One process does that at a time; others wait, and find it
    there. What an older version has generated for the same spec is replaced, anything else in the way is an error.

    Args:
        root: folder of the data set.
        spec: what it consists of.
        layout: name of the layout, part of what identifies the data.
        write_split: writes one split in that layout.

    Returns:
        ``root``.

    Raises:
        UserError: ``root`` holds something that was not generated here, or shapes of another spec or layout, which
            somebody may be reading.
    """
    wanted = {'version': GENERATOR_VERSION, 'layout': layout, **asdict(spec)}
    if _manifest(root) == wanted:
        return root
    check_output_dir(root)
    _check_replaceable(root, wanted)
    root.parent.mkdir(parents=True, exist_ok=True)
    with locked(root.parent / f'.{root.name}.generating.lock') as held:
        if _manifest(root) == wanted:  # another process was first
            return root
        if held:
            _remove_left_over(root)
        print_log(f'Generating shapes in {root}: {spec.splits}, {spec.size_px} px, seed {spec.seed}', 'current')
        with tempfile.TemporaryDirectory(dir=root.parent, prefix=_scratch_prefix(root)) as scratch:
            fresh = Path(scratch) / root.name
            for split, count in spec.splits.items():
                write_split(fresh, split, count, spec)
            (fresh / _MANIFEST).write_text(json.dumps(wanted, indent=2))
            _put_in_place(fresh, root, wanted)
    return root


def _check_replaceable(root: Path, wanted: dict[str, Any]) -> None:
    there = _manifest(root)
    if there is None and root.exists() and any(root.iterdir()):
        raise UserError(f'{root} is not empty and holds no generated shapes. Name another data_root or move it away.')
    if there is not None and {**there, 'version': wanted['version']} != wanted:
        raise UserError(
            f'{root} holds the shapes of another config ({_described(there)}; this one has {_described(wanted)}), '
            f'which a training may be reading. Name another folder, --data-root, or remove this one first: rm -r {root}'
        )


def _described(manifest: dict[str, Any]) -> str:
    return ', '.join(f'{key} {value}' for key, value in manifest.items() if key != 'version')


def _scratch_prefix(root: Path) -> str:
    return f'.{root.name}.generating-'


def _remove_left_over(root: Path) -> None:
    """Remove what a generation that was killed has left; while the lock is held there is no other."""
    for path in root.parent.iterdir():
        if re.fullmatch(re.escape(_scratch_prefix(root)) + r'\w{8}', path.name):
            shutil.rmtree(path)


def _manifest(root: Path) -> dict[str, Any] | None:
    try:
        manifest = json.loads((root / _MANIFEST).read_text())
    except (OSError, ValueError):
        return None
    return manifest if isinstance(manifest, dict) else None


def _put_in_place(fresh: Path, root: Path, wanted: dict[str, Any]) -> None:
    if _manifest(root) == wanted:
        return  # another process was first, where the file system has no locks
    if root.exists():
        shutil.rmtree(root)
    try:
        fresh.rename(root)
    except OSError:
        if _manifest(root) != wanted:
            raise
