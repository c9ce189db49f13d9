"""Data sets in place and whole: folders, annotation files, the pictures they name, the classes they have."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mmengine.registry import DATASETS

from ..data.layouts import layout_of, misplaced
from ..data.pictures import truncation
from .check_arguments import find_component
from .check_labels import check_label_files
from .nodes import walk

#: How many pictures of a data set are opened; of all, only name and size are looked at.
_OPENED_PICTURES = 200

_HEADS_WITH_CLASSES = ('bbox_head', 'mask_head', 'decode_head', 'auxiliary_head')

_HELP = 'See "Data" in the README for what must lie where, or name the folder with --data-root.'


def leaf_datasets(dataset: dict | None) -> Iterator[dict]:
    """Data sets inside wrappers such as RepeatDataset and ConcatDataset."""
    if not dataset:
        return
    inner = dataset.get('dataset') or dataset.get('datasets')
    if inner is None:
        yield dataset
    for child in inner if isinstance(inner, (list, tuple)) else filter(None, [inner]):
        yield from leaf_datasets(child)


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
    if folders.get('img_path') and folders.get('seg_map_path'):
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
    """There are classes, and a colour for each.

    Raises:
        ValueError: the list of classes is empty, or the palette has fewer colours than there are classes.
    """
    classes = dataset_classes(dataset)
    if classes is None:
        return
    if len(classes) == 0:
        raise ValueError(
            f'The data set {dataset["type"]} has an empty list of classes. Name them: metainfo=dict(classes=[...]).'
        )
    known = getattr(find_component(DATASETS, dataset['type']), 'METAINFO', {})
    own = dataset.get('metainfo') or {}
    palette = own.get('palette', () if 'classes' in own else known.get('palette', ()))
    if isinstance(palette, Sequence) and not isinstance(palette, str) and 0 < len(palette) < len(classes):
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


def dataset_classes(dataset: dict) -> Sequence[str] | None:
    """Class names that a data set config leads to; None if only the data set itself knows.

    Raises:
        ValueError: ``metainfo.classes`` is one string that names no file.
    """
    classes = (dataset.get('metainfo') or {}).get('classes')
    if isinstance(classes, str) and not Path(classes).is_file():
        raise ValueError(
            f'metainfo.classes must be a list of names or a file of them; got {classes!r}: ({classes!r},)?'
        )
    if isinstance(classes, str):
        return [line for line in Path(classes).read_text().splitlines() if line.strip()]
    if classes is None:
        classes = getattr(find_component(DATASETS, dataset.get('type')), 'METAINFO', {}).get('classes')
    return classes if isinstance(classes, (list, tuple)) else None


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
            f'{", ".join(absent[:3])}{", ..." if len(absent) > 3 else ""}. Complete the folder, or mend data_prefix.'
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
