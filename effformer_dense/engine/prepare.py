"""Checking a folder of COCO or ADE20K, and linking it to where the configs look."""

from __future__ import annotations

import os
from pathlib import Path

from ..data.layouts import LAYOUTS, Layout, Part, absent_paths, misplaced
from ..data.pictures import read_picture
from .check_data import check_pictures, read_annotations
from .check_labels import check_pair
from .config import PROJECT_ROOT

_OPENED = 50  # files of each folder


def prepare_data(name: str, folder: Path | None, partial: bool = False, link: bool = True) -> list[str]:
    """Check that a data set is in place and whole.

    Args:
        name: 'coco' or 'ade20k'.
        folder: where it is; None for where the configs look.
        partial: accept a part of the data set.
        link: make the folder appear where the configs look, by a symbolic link.

    Returns:
        What was found and done, line by line.

    Raises:
        ValueError: something is missing or broken, with the usual mistake behind it if it is one, and the way out.
    """
    layout = LAYOUTS[name]
    place = _place(layout)
    root = place if folder is None else folder
    if not root.is_dir():
        raise ValueError(f'{root} does not exist. Name the folder of the data set, or get it.\n{layout.download}')
    absent = absent_paths(root, layout)
    present = [part for part in layout.parts if part.path not in absent]
    if absent and not (partial and present):
        there = ', '.join(sorted(entry.name + '/' * entry.is_dir() for entry in root.iterdir())) or 'nothing'
        way_out = misplaced(root, layout) or f'Complete it, or accept a part with --partial.\n{layout.download}'
        raise ValueError(f'{root} lacks {", ".join(absent)}; it holds {there}. {way_out}')
    lines = [_check_part(root, layout, part, partial, absent) for part in present]
    lines += [f'{path}: not there' for path in absent]
    if link and folder is not None:
        lines.append(_link(root, place))
    return lines


def _place(layout: Layout) -> Path:
    """Where the configs look: below the current directory if it is there, else below the project."""
    here = Path(layout.link).absolute()
    return here if here.exists() else PROJECT_ROOT / layout.link


def _check_part(root: Path, layout: Layout, part: Part, partial: bool, absent: list[str]) -> str:
    """One line about a folder."""
    files = sorted(path for path in (root / part.path).iterdir() if path.suffix == part.suffix)
    if not files:
        kinds = ', '.join(sorted({path.suffix or path.name for path in (root / part.path).iterdir()})) or 'nothing'
        raise ValueError(f'{root / part.path} holds no {part.suffix} files but {kinds}. {layout.download}')
    if len(files) != part.count and not partial:
        raise ValueError(
            f'{root / part.path} holds {len(files):,} files *{part.suffix}, the release {part.count:,}. Unpack or '
            'download it again, or accept a part with --partial.'
        )
    sample = files[:: max(1, len(files) // _OPENED)]
    if part.labels is not None and part.labels not in absent:
        for picture in sample:
            check_pair(picture, root / part.labels / f'{picture.stem}.png', num_labels=150, first_label=1)
    elif part.suffix == '.jpg':
        for picture in sample:
            read_picture(picture)
    named = ''
    if part.annotation is not None and part.annotation not in absent:
        table = read_annotations(root / part.annotation)
        check_pictures(root / part.annotation, table, root / part.path)
        named = f', {len(table["images"]):,} of them in {part.annotation}'
    whole = '' if len(files) == part.count else f' of {part.count:,}'
    return f'{part.path}: {len(files):,}{whole} files{named}; {len(sample)} opened'


def _link(root: Path, place: Path) -> str:
    """Symbolic link from where the configs look to the data set."""
    if place.exists() and place.resolve() == root.resolve():
        return f'{place}: in place already'
    if place.is_symlink() or place.exists():
        what = f'a link to {os.readlink(place)}' if place.is_symlink() else 'something else'
        raise ValueError(f'{place} is there already, {what}. Move it away, or leave it and use --data-root {root}.')
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(root.resolve(), target_is_directory=True)
    except OSError as error:
        raise ValueError(f'{place} cannot be linked ({error.strerror}). Use --data-root {root} instead.') from error
    return f'{place} -> {root.resolve()}'
