"""Checks of data sets: folders and files, classes and colours. What is in them is the tasks' business."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..config.datasets import DatasetView
from ..config.nodes import walk
from ..data.generated import ShapesSpec
from ..data.layouts import layout_of, misplaced
from ..errors import UserError
from ..tasks import task_of_dataset

_HELP = 'See "Data" in the README for what must lie where, or name the folder with --data-root.'


def check_folders(dataset: DatasetView) -> None:
    """Check that the folders and files that a data set's config names are there, unless it makes its own.

    Raises:
        UserError: one is not, with the usual mistake if it is one.
    """
    if dataset.is_generated:
        return
    root, layout = dataset.root, layout_of(dataset.type_name)
    if not root.is_dir():
        download = f' {layout.download}' if layout else ''
        raise UserError(f'Data set folder {root} does not exist. {_HELP}{download}')
    expected = [path for path in (dataset.annotation, *dataset.folders.values()) if path is not None]
    missing = [str(path) for path in expected if not path.exists()]
    if missing:
        there = ', '.join(sorted(p.name + '/' * p.is_dir() for p in root.iterdir())) or 'nothing'
        mistake = misplaced(root, layout) if layout else None
        raise UserError(f'Not found: {", ".join(missing)}. {root} holds: {there}. {mistake or _HELP}')


def check_classes(dataset: DatasetView) -> None:
    """Check that the configured classes exist in the data set and that each has a colour.

    Raises:
        UserError: no classes, classes that the annotations do not know, or a palette of another length.
    """
    if dataset.classes is not None and not dataset.classes:
        raise UserError(
            f'The data set {dataset.type_name} has an empty list of classes. Name them: metainfo=dict(classes=[...]).'
        )
    task = task_of_dataset(dataset)
    if task is not None:
        task.check_classes(dataset)
    palette = dataset.metainfo.get('palette')
    if palette is getattr(dataset.cls, 'METAINFO', {}).get('palette') or dataset.classes is None:
        return  # the data set's own, of which a config may choose some
    if isinstance(palette, (list, tuple)) and palette and len(palette) != len(dataset.classes):
        raise UserError(
            f'metainfo.palette of {dataset.type_name} has {len(palette)} colours for {len(dataset.classes)} classes. '
            'Give each class one, or leave the palette out for colours at random.'
        )


def check_evaluator(evaluator: Any, name: str) -> None:
    """Check that the annotation files of the metrics exist.

    Raises:
        UserError: one does not.
    """
    for path, node in walk(evaluator, name):
        file = node.get('ann_file')
        if isinstance(file, str) and '://' not in file and not Path(file).is_file():
            raise UserError(f'{path}.ann_file {file} does not exist. It must be the annotation file of the data set.')


def check_generated(datasets: Mapping[str, Sequence[DatasetView]]) -> None:
    """Splits of generated data that share a folder agree on what is in it, or one would replace the other's.

    Args:
        datasets: per split.

    Raises:
        UserError: they do not, or the data cannot be generated as the config says.
    """
    seen: dict[Path, Mapping[str, Any] | None] = {}
    for split, views in datasets.items():
        for dataset in views:
            if not dataset.is_generated:
                continue
            ShapesSpec.from_config(dataset.shapes)
            if seen.setdefault(dataset.root, dataset.shapes) != dataset.shapes:
                raise UserError(
                    f'{split}_dataloader.dataset.shapes is {_plain(dataset.shapes)}, and another split in '
                    f'{dataset.root} has {_plain(seen[dataset.root])}. Give all of them the same.'
                )


def _plain(shapes: Mapping[str, Any] | None) -> dict[str, Any]:
    return dict(shapes or {})
