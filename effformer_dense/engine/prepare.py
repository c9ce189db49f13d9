"""Checking a folder of COCO or ADE20K, and linking it to where the configs look."""

from __future__ import annotations

import os
from pathlib import Path

from ..config.home import data_place
from ..data.border.findings import Findings
from ..data.border.image_records import ImageOptions, clean_images
from ..data.border.picture_folder import PictureFolder
from ..data.border.tables import read_table
from ..data.layouts import LAYOUTS, Layout, Part, absent_paths, misplaced
from ..data.pictures import read_picture
from ..data.segmentation_maps import check_segmentation_map, read_segmentation_map
from ..errors import UserError
from ..segmentation.checks import check_no_orphans, check_pairs

_OPENED = 50  # files of each folder


def prepare_data(name: str, folder: Path | None, partial: bool = False, link: bool = True) -> list[str]:
    """Check that a data set is complete, and link it to where the configs look.

    Args:
        name: 'coco' or 'ade20k'.
        folder: where it is; None for where the configs look.
        partial: accept a part of the data set.
        link: make the folder appear where the configs look, by a symbolic link.

    Returns:
        What was found and done, line by line.

    Raises:
        UserError: something is missing or broken, with the usual mistake behind it if it is one, and the way out.
    """
    layout = LAYOUTS[name]
    place = data_place(layout.link)
    root = place if folder is None else folder
    if root.is_file():
        raise UserError(f'{root} is a file. Unpack it and name the folder that comes out.')
    if not root.is_dir():
        raise UserError(f'{root} does not exist. Name the folder of the data set, or get it.\n{layout.download}')
    absent = absent_paths(root, layout)
    mistake = misplaced(root, layout)
    present = [part for part in layout.parts if part.path not in absent]
    usable = [part for part in present if (part.maps or part.annotation or absent[0]) not in absent] if absent else []
    if mistake or (absent and not (partial and usable)):
        there = ', '.join(sorted(entry.name + '/' * entry.is_dir() for entry in root.iterdir())) or 'nothing'
        way_out = mistake or f'Complete it, or accept whole splits with --partial.\n{layout.download}'
        lacks = f'lacks {", ".join(absent)}' if absent else 'is not as expected'
        raise UserError(f'{root} {lacks}; it holds {there}. {way_out}')
    lines = [_check_part(root, layout, part, partial, absent) for part in present]
    lines += [f'{path}: not there' for path in absent]
    if link and folder is not None:
        lines.append(_link(root, place))
    return lines


def _check_part(root: Path, layout: Layout, part: Part, partial: bool, absent: list[str]) -> str:
    """Describe a folder in one line."""
    entries = sorted(path for path in (root / part.path).iterdir() if not path.name.startswith('.'))
    files = [path for path in entries if path.suffix == part.suffix]
    if not files:
        kinds = ', '.join(sorted({path.suffix or path.name for path in entries})) or 'nothing'
        raise UserError(f'{root / part.path} holds no {part.suffix} files; it holds {kinds}. {layout.download}')
    if len(files) != part.count and not partial:
        raise UserError(
            f'{root / part.path} holds {len(files):,} files *{part.suffix}, the release {part.count:,}. Unpack or '
            'download it again, or accept a part with --partial.'
        )
    named = ''
    if part.maps is not None and part.maps not in absent:
        check_no_orphans(root / part.maps, '.png', [path.stem for path in files], root / part.path)
        pairs = [(picture, root / part.maps / f'{picture.stem}.png') for picture in files]
        opened = check_pairs(pairs, 150, first_label=1, num_opened=_OPENED)
    elif part.suffix == '.png':
        sample = files[:: len(files) // _OPENED + 1]
        for path in sample:
            check_segmentation_map(path, read_segmentation_map(path), 150, 1)
        opened = len(sample)
    else:
        opened = len([read_picture(path) for path in files[:: len(files) // _OPENED + 1]])
    if part.annotation is not None and part.annotation not in absent:
        named = f', {_check_listed(root / part.annotation, root / part.path):,} of them in {part.annotation}'
    whole = '' if len(files) == part.count else f' of {part.count:,}'
    return f'{part.path}: {len(files):,}{whole} files{named}; {opened} opened'


def _check_listed(annotation: Path, folder: Path) -> int:
    """All pictures that a COCO file lists are there, and of a sample the size is that of the file; returns how many.

    Raises:
        UserError: one is not, or the file is none.
    """
    findings = Findings()
    rows = read_table(annotation, findings)['images']
    clean_images(rows, str(annotation), PictureFolder(folder), findings, ImageOptions(_OPENED))
    if findings.count():
        lines = '\n'.join(findings.summary())
        raise UserError(f'{annotation} and {folder} do not belong together as they should:\n{lines}')
    return len(rows)


def _link(root: Path, place: Path) -> str:
    """Symbolic link from where the configs look to the data set."""
    if place.exists() and place.resolve() == root.resolve():
        return f'{place}: in place already'
    if place.is_symlink() or place.exists():
        what = f'a link to {os.readlink(place)}' if place.is_symlink() else 'something else'
        raise UserError(f'{place} is there already, {what}. Move it away, or leave it and use --data-root {root}.')
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(root.resolve(), target_is_directory=True)
    except OSError as error:
        raise UserError(f'{place} cannot be linked ({error.strerror}). Use --data-root {root} instead.') from error
    return f'{place} -> {root.resolve()}'
