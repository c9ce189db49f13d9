"""What a data set config means: defaults of its class included."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mmengine.registry import DATASETS

from .check_arguments import find_component


def leaf_datasets(dataset: dict | None) -> Iterator[dict]:
    """Data sets inside wrappers such as RepeatDataset and ConcatDataset."""
    if not dataset:
        return
    inner = dataset.get('dataset') or dataset.get('datasets')
    if inner is None:
        yield dataset
    for child in inner if isinstance(inner, (list, tuple)) else filter(None, [inner]):
        yield from leaf_datasets(child)


def argument(dataset: dict, name: str, default: Any) -> Any:
    """Argument of a data set: of its config, else the default of its class, else ``default``."""
    if name in dataset:
        return dataset[name]
    for cls in getattr(find_component(DATASETS, dataset.get('type')), '__mro__', ()):
        parameter = inspect.signature(cls.__init__).parameters.get(name) if '__init__' in vars(cls) else None
        if parameter is not None and parameter.default is not inspect.Parameter.empty:
            return parameter.default
    return default


def class_metainfo(dataset: dict) -> dict[str, Any]:
    """``METAINFO`` of a data set's class."""
    return getattr(find_component(DATASETS, dataset.get('type')), 'METAINFO', {})


def dataset_classes(dataset: dict) -> Sequence[str] | None:
    """Class names that a data set config leads to; None if only the data set itself knows.

    Raises:
        ValueError: ``metainfo.classes`` is one string that names no file.
    """
    classes = (dataset.get('metainfo') or {}).get('classes')
    if isinstance(classes, str):
        if not Path(classes).is_file():
            raise ValueError(
                f'metainfo.classes must be a list of names or a file of them; got {classes!r}: ({classes!r},)?'
            )
        return [line for line in Path(classes).read_text().splitlines() if line.strip()]
    if classes is None:
        classes = class_metainfo(dataset).get('classes')
    return classes if isinstance(classes, (list, tuple)) else None


def file_classes(dataset: dict) -> Sequence[str] | None:
    """Class names that label files are numbered by: those of the data set's class; a config may choose some of them."""
    return class_metainfo(dataset).get('classes') or dataset_classes(dataset)


def is_segmentation(dataset: dict) -> bool:
    """Whether a data set is of mmseg's kind, with label files."""
    return argument(dataset, 'seg_map_suffix', None) is not None


def full_metainfo(dataset: dict) -> dict[str, Any]:
    """Classes, palette and numbering as the data set itself would tell them, without reading any data."""
    meta = {**class_metainfo(dataset), **(dataset.get('metainfo') or {})}
    meta['classes'] = dataset_classes(dataset)
    if is_segmentation(dataset):
        meta['reduce_zero_label'] = argument(dataset, 'reduce_zero_label', False)
        numbers = {name: index for index, name in enumerate(file_classes(dataset) or ())}
        chosen = [numbers.get(name) for name in meta['classes'] or ()]
        if chosen != list(range(len(numbers))) and None not in chosen:
            meta['label_map'] = dict.fromkeys(numbers.values(), 255) | {old: new for new, old in enumerate(chosen)}
    return meta
