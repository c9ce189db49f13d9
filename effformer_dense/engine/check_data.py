"""Data sets in place and whole: folders, annotation files, the pictures they name, the classes they have."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.registry import DATASETS

from ..data.layouts import layout_of, misplaced
from ..data.pictures import truncation
from ..variants import choice_error
from .check_arguments import find_component
from .check_labels import check_label_files
from .datasets import dataset_classes, file_classes, is_segmentation
from .nodes import walk

#: How many pictures of a data set are opened; of all, only name and size are looked at.
_OPENED_PICTURES = 200

_HEADS_WITH_CLASSES = ('bbox_head', 'mask_head', 'decode_head', 'auxiliary_head')

_HELP = 'See "Data" in the README for what must lie where, or name the folder with --data-root.'


def check_dataset(dataset: dict) -> None:
    """Folders and files of a data set exist, and its annotation file is JSON that names pictures that are there.

    A data set class with a ``prepare`` method makes its own data now.

    Raises:
        ValueError: something is missing, unreadable or inconsistent.
    """
    prepare = getattr(find_component(DATASETS, dataset.get('type')), 'prepare', None)
    if prepare is not None:
        prepare(dataset['data_root'], dataset.get('shapes'))
        return
    root = Path(dataset.get('data_root') or '')
    layout = layout_of(dataset.get('type'))
    if not root.is_dir():
        download = f' {layout.download}' if layout else ''
        raise ValueError(f'Data set folder {root} does not exist. {_HELP}{download}')
    folders = {key: root / value for key, value in (dataset.get('data_prefix') or {}).items()}
    annotation = root / dataset['ann_file'] if dataset.get('ann_file') else None
    missing = [str(path) for path in (annotation, *folders.values()) if path is not None and not path.exists()]
    if missing:
        there = ', '.join(sorted(p.name + '/' * p.is_dir() for p in root.iterdir())) or 'nothing'
        mistake = misplaced(root, layout) if layout else None
        raise ValueError(f'Not found: {", ".join(missing)}. {root} holds: {there}. {mistake or _HELP}')
    if annotation is not None and annotation.suffix == '.json':
        table = read_annotations(annotation)
        _check_categories(annotation, table, dataset_classes(dataset))
        if 'img' in folders:
            check_pictures(annotation, table, folders['img'])
    if 'img_path' in folders:
        if 'seg_map_path' not in folders:
            raise ValueError(
                f'data_prefix of {dataset["type"]} has no folder of label files; expected: img_path and seg_map_path. '
                'For pictures without labels: tools/infer.py.'
            )
        check_label_files(dataset, folders['img_path'], folders['seg_map_path'])


def read_annotations(path: Path) -> dict[str, Any]:
    """COCO annotation file.

    Raises:
        ValueError: no JSON, or not the tables of an instance annotation file.
    """
    try:
        table = json.loads(path.read_bytes())
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f'{path} is no JSON: {error}. Unpack or download the annotations again.') from error
    wanted = ('images', 'annotations', 'categories')
    absent = [key for key in wanted if not isinstance(table, dict) or not isinstance(table.get(key), list)]
    if absent:
        raise ValueError(
            f'{path} has no list {", ".join(absent)}: COCO instance annotations have {", ".join(wanted)}. '
            'Is it another file, captions or keypoints, say?'
        )
    for key, field in (('images', 'file_name'), ('annotations', 'image_id'), ('categories', 'name')):
        bad = next((row for row in table[key] if not isinstance(row, dict) or field not in row), None)
        if bad is not None:
            raise ValueError(f'{path}: an entry of {key} has no {field}: {str(bad)[:80]}')
    return table


def check_classes(dataset: dict) -> None:
    """There are classes that the data set can have, and a colour for each.

    Raises:
        ValueError: no classes, classes that the label files do not know, or a palette of another length.
    """
    classes = dataset_classes(dataset)
    if classes is None and not is_segmentation(dataset):
        return
    if not classes:
        raise ValueError(
            f'The data set {dataset["type"]} has an empty list of classes. Name them: metainfo=dict(classes=[...]).'
        )
    known = file_classes(dataset) if is_segmentation(dataset) else None
    unknown = [name for name in classes if known and name not in known]
    if unknown:
        raise choice_error(f'A class of {dataset["type"]}', unknown[0], known)
    palette = (dataset.get('metainfo') or {}).get('palette', ())
    if isinstance(palette, (list, tuple)) and palette and len(palette) != len(classes):
        raise ValueError(
            f'metainfo.palette of {dataset["type"]} has {len(palette)} colours for {len(classes)} classes. Give each '
            'class one, or leave the palette out for colours at random.'
        )


def check_num_classes(model: dict, dataset: dict) -> None:
    """``num_classes`` of the box, mask and segmentation heads equals the number of classes of the data set.

    Raises:
        ValueError: they disagree.
    """
    classes = dataset_classes(dataset)
    if classes is None:
        return
    for path, node in walk(model, 'model'):
        is_head = any(part in _HEADS_WITH_CLASSES for part in path.split('.')[-2:])
        count = node.get('num_classes') if is_head else None
        if count is not None and count != len(classes):
            some = ', '.join(classes[:5]) + (', ...' if len(classes) > 5 else '')
            raise ValueError(
                f'{path}.num_classes is {count}, and the data set {dataset["type"]} has {len(classes)} classes '
                f'({some}). Set it to {len(classes)}, or set metainfo.classes of the data set.'
            )


def check_evaluator(evaluator: Any, name: str) -> None:
    """Annotation files that metrics read exist.

    Raises:
        ValueError: one does not.
    """
    for path, node in walk(evaluator, name):
        file = node.get('ann_file')
        if isinstance(file, str) and '://' not in file and not Path(file).is_file():
            raise ValueError(f'{path}.ann_file {file} does not exist. It must be the annotation file of the data set.')


def _check_categories(annotation: Path, table: dict[str, Any], classes: Sequence[str] | None) -> None:
    names = {category['name'] for category in table['categories']}
    absent = [name for name in classes or () if name not in names]
    if absent:
        raise ValueError(
            f'{annotation} has no category {", ".join(absent[:5])}{", ..." if len(absent) > 5 else ""} '
            f'({len(absent)} of {len(classes or ())} classes are missing); its categories are '
            f'{", ".join(sorted(map(str, names))[:10])}. '
            'Set metainfo.classes of the data set and num_classes of the heads.'
        )


def check_pictures(annotation: Path, table: dict[str, Any], folder: Path) -> None:
    """The pictures that a COCO file names are in a folder, and a sample of them is whole.

    Args:
        annotation: the file, named in errors.
        table: what it holds.
        folder: of the pictures.

    Raises:
        ValueError: it names none, or one that is missing, empty or truncated.
    """
    names = [image['file_name'] for image in table['images']]
    if not names:
        raise ValueError(f'{annotation} lists no pictures.')
    present = _file_sizes(folder, nested=any('/' in name for name in names))
    absent = [name for name in names if name not in present]
    if absent:
        raise ValueError(
            f'{annotation} names {len(names)} pictures, {len(absent)} of them are not in {folder}: '
            f'{", ".join(absent[:3])}{", ..." if len(absent) > 3 else ""}. Complete the folder, or cut the annotations.'
        )
    opened = set(names[:: max(1, len(names) // _OPENED_PICTURES)])
    for name in names:
        reason = 'the file is empty' if present[name] == 0 else None
        if reason is None and name in opened:
            reason = truncation((folder / name).read_bytes())
        if reason:
            raise ValueError(f'{folder / name}: {reason}. Download it again.')


def _file_sizes(folder: Path, nested: bool) -> dict[str, int]:
    if nested:
        return {p.relative_to(folder).as_posix(): p.stat().st_size for p in folder.rglob('*') if p.is_file()}
    with os.scandir(folder) as entries:
        return {entry.name: entry.stat().st_size for entry in entries if entry.is_file()}
