"""Checks that run before any long work: data in place and whole, classes that agree, weights that can be had."""

from __future__ import annotations

import inspect
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.registry import DATA_SAMPLERS, DATASETS, METRICS, MODELS, TASK_UTILS, TRANSFORMS, Registry
from torch.utils.data import DataLoader

from ..checkpoint import fetch
from ..checkpoint.timm_hub import SCHEME
from ..data.pictures import truncation
from ..variants import choice_error
from .config import DATALOADERS, EVALUATORS, walk

#: How many pictures of a data set are opened; of all, only name and size are looked at.
_OPENED_PICTURES = 200

#: Which registries the components of a part of the config come from.
_SECTIONS: dict[str, tuple[Registry, ...]] = {
    'model': (MODELS, TASK_UTILS),
    **{section: (DATASETS, TRANSFORMS, DATA_SAMPLERS) for section in DATALOADERS},
    **{section: (METRICS,) for section in EVALUATORS},
}

_COCO_HELP = 'See "Where COCO must lie" in the README, or name its folder with --data-root.'


def check_run(cfg: Config, splits: Sequence[str]) -> None:
    """All checks for a run that reads the given data loaders.

    Args:
        cfg: config with absolute data paths (:func:`.config.load_config`).
        splits: of 'train', 'val' and 'test'.

    Raises:
        ValueError: anything wrong, with the value and the way out.
        FileNotFoundError: pretrained weights that are neither here nor to be downloaded.
    """
    check_arguments(cfg)
    for split in splits:
        loader = cfg.get(f'{split}_dataloader')
        for dataset in _leaf_datasets(loader and loader.dataset):
            check_dataset(dataset)
            check_num_classes(cfg.model, dataset)
    if 'train' in splits:
        check_pretrained(cfg.model)


def check_arguments(cfg: Config) -> None:
    """Every argument of models, data sets, transforms, samplers, metrics and data loaders is one that exists."""
    for section, registries in _SECTIONS.items():
        for path, node in walk(cfg.get(section), section):
            components = (find_component(registry, node.get('type')) for registry in registries)
            component = next(filter(None, components), None)
            if component is None:
                continue  # not a component, or of a kind that is built elsewhere and checked there
            accepted = _accepted_arguments(component)
            for key in node:
                if accepted is not None and key not in (*accepted, 'type', '_scope_'):
                    raise choice_error(f'Argument of {component.__name__} ({path})', key, accepted)
    loader_arguments = inspect.signature(DataLoader.__init__).parameters
    for section in DATALOADERS:
        for key in cfg.get(section) or ():
            if key not in loader_arguments:
                raise choice_error(f'Argument of {section}', key, loader_arguments)


def check_dataset(dataset: dict) -> None:
    """Folders and files of a data set exist, and its annotation file is JSON that names pictures that are there."""
    if dataset.get('shapes') is not None:
        return  # makes itself
    root = Path(dataset.get('data_root') or '')
    if not root.is_dir():
        raise ValueError(f'Data set folder {root} does not exist. {_COCO_HELP}')
    folders = {key: root / value for key, value in (dataset.get('data_prefix') or {}).items()}
    annotation = root / dataset['ann_file'] if dataset.get('ann_file') else None
    missing = [str(path) for path in (annotation, *folders.values()) if path is not None and not path.exists()]
    if missing:
        there = ', '.join(sorted(p.name + '/' * p.is_dir() for p in root.iterdir())) or 'nothing'
        raise ValueError(f'Not found: {", ".join(missing)}. {root} holds: {there}. {_COCO_HELP}')
    if annotation is not None and annotation.suffix == '.json':
        table = read_annotations(annotation)
        _check_classes(annotation, table, dataset_classes(dataset))
        if 'img' in folders:
            _check_pictures(annotation, table, folders['img'])


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
    return table


def check_num_classes(model: dict, dataset: dict) -> None:
    """Every ``num_classes`` of the heads equals the number of classes of the data set."""
    classes = dataset_classes(dataset)
    if classes is None:
        return
    for path, node in walk(model, 'model'):
        count = node.get('num_classes')
        if count is not None and count != len(classes):
            some = ', '.join(classes[:5]) + (', ...' if len(classes) > 5 else '')
            raise ValueError(
                f'{path}.num_classes is {count}, and the data set {dataset["type"]} has {len(classes)} classes '
                f'({some}). Set it to {len(classes)}, or set metainfo.classes of the data set.'
            )


def check_pretrained(model: dict) -> None:
    """Pretrained weights of a model config are at hand; ``timm://`` names are fetched now."""
    for path, node in walk(model, 'model'):
        init = node.get('init_cfg')
        if not isinstance(init, dict) or init.get('type') != 'Pretrained':
            continue
        source = str(init.get('checkpoint'))
        if source.startswith(SCHEME):
            fetch(source.removeprefix(SCHEME))
        elif '://' not in source and not Path(source).is_file():
            raise ValueError(
                f'{path}.init_cfg.checkpoint {source} does not exist. Name a local file with '
                f'--cfg-options {path}.init_cfg.checkpoint=FILE, or train without: --from-scratch.'
            )


def dataset_classes(dataset: dict) -> Sequence[str] | None:
    """Class names that a data set config leads to; None if only the data set itself knows."""
    classes = (dataset.get('metainfo') or {}).get('classes')
    if classes is None:
        classes = getattr(find_component(DATASETS, dataset.get('type')), 'METAINFO', {}).get('classes')
    return classes if isinstance(classes, (list, tuple)) else None


def find_component(registry: Registry, name: object) -> type | None:
    """Class that ``name`` stands for in the default scope."""
    if inspect.isclass(name):
        return name
    with registry.switch_scope_and_registry(None) as scoped:
        found = scoped.get(name) if isinstance(name, str) else None
    return found if inspect.isclass(found) else None


def _leaf_datasets(dataset: dict | None) -> Iterator[dict]:
    """Data sets inside wrappers such as RepeatDataset and ConcatDataset."""
    if not dataset:
        return
    inner = dataset.get('dataset') or dataset.get('datasets')
    if inner is None:
        yield dataset
    for child in inner if isinstance(inner, (list, tuple)) else filter(None, [inner]):
        yield from _leaf_datasets(child)


def _accepted_arguments(component: type) -> list[str] | None:
    """Names a constructor takes, those that ``**kwargs`` hands to base classes included; None if it takes any."""
    names: list[str] = []
    for cls in component.__mro__:
        if '__init__' not in vars(cls):
            continue
        parameters = inspect.signature(cls.__init__).parameters.values()
        names += [p.name for p in parameters if p.name != 'self' and p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            return names
    return None


def _check_classes(annotation: Path, table: dict[str, Any], classes: Sequence[str] | None) -> None:
    names = {category.get('name') for category in table['categories']}
    absent = [name for name in classes or () if name not in names]
    if absent:
        raise ValueError(
            f'{annotation} has no category {", ".join(absent[:5])}{", ..." if len(absent) > 5 else ""} '
            f'({len(absent)} of {len(classes or ())} classes are missing); its categories are '
            f'{", ".join(sorted(map(str, names))[:10])}. '
            'Set metainfo.classes of the data set and num_classes of the heads.'
        )


def _check_pictures(annotation: Path, table: dict[str, Any], folder: Path) -> None:
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
