"""What a data set config means, including the defaults of its class."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.registry import DATASETS

from ..errors import UserError
from .registry import argument, find_component


@dataclass(frozen=True)
class DatasetView:
    """A data set config, resolved once. The data themselves are not read.

    Attributes:
        type_name: name of the class, as in the config.
        cls: the class; None if the name is registered nowhere.
        root: folder of the data set.
        annotation: annotation file, or list of names; None without.
        folders: entries of ``data_prefix`` as paths.
        classes: names; None if only the data set itself knows.
        file_classes: names that the files are numbered by, of which a config may choose some.
        metainfo: what the data set will tell of itself: classes, palette and, of segmentation maps, how they are
            numbered (``reduce_zero_label``, ``label_map``).
        pipeline: steps.
        picture_suffix, map_suffix: how names of pictures and of segmentation maps end.
        shapes: what a generated data set consists of; None for others.
    """

    type_name: str
    cls: type[Any] | None
    root: Path
    annotation: Path | None
    folders: Mapping[str, Path]
    classes: Sequence[str] | None
    file_classes: Sequence[str] | None
    metainfo: Mapping[str, Any]
    pipeline: Sequence[Mapping[str, Any]]
    picture_suffix: str
    map_suffix: str
    shapes: Mapping[str, Any] | None

    @property
    def is_generated(self) -> bool:
        """Whether the data set generates its own data."""
        return hasattr(self.cls, 'generate')

    def generate(self) -> None:
        """Make the data of a data set that generates its own, where they are not there yet."""
        assert self.cls is not None and self.is_generated
        self.cls.generate(self.root, self.shapes)


def view(node: dict) -> DatasetView:
    """:class:`DatasetView` of a data set's config.

    Args:
        node: config of a data set that is no wrapper.

    Raises:
        UserError: ``metainfo.classes`` is one string that names no file.
    """
    cls = find_component(DATASETS, node.get('type'))
    root = Path(node.get('data_root') or '')
    own = getattr(cls, 'METAINFO', {})
    classes = _classes(node, own)
    file_classes = own.get('classes') or classes
    return DatasetView(
        type_name=getattr(node.get('type'), '__name__', None) or str(node.get('type')),
        cls=cls,
        root=root,
        annotation=root / node['ann_file'] if node.get('ann_file') else None,
        folders={key: root / value for key, value in (node.get('data_prefix') or {}).items()},
        classes=classes,
        file_classes=file_classes,
        metainfo=_metainfo(cls, node, own, classes, file_classes),
        pipeline=node.get('pipeline') or (),
        picture_suffix=str(argument(cls, node, 'img_suffix', '')),
        map_suffix=str(argument(cls, node, 'seg_map_suffix', '')),
        shapes=node.get('shapes'),
    )


def dataset_nodes(dataset: dict | None) -> Iterator[dict]:
    """Configs of the data sets inside wrappers such as RepeatDataset and ConcatDataset."""
    if not dataset:
        return
    inner = dataset.get('dataset') or dataset.get('datasets')
    if inner is None:
        yield dataset
    for child in inner if isinstance(inner, (list, tuple)) else filter(None, [inner]):
        yield from dataset_nodes(child)


def datasets_of(cfg: Config, split: str) -> list[DatasetView]:
    """Data sets that the loader of ``split`` ('train', 'val', 'test') reads."""
    loader = cfg.get(f'{split}_dataloader')
    return [view(node) for node in dataset_nodes(loader and loader.dataset)]


def _classes(node: dict, own: Mapping[str, Any]) -> Sequence[str] | None:
    classes = (node.get('metainfo') or {}).get('classes')
    if isinstance(classes, str):
        if not Path(classes).is_file():
            raise UserError(
                f'metainfo.classes must be a list of names or a file of them; got {classes!r}: ({classes!r},)?'
            )
        return [line for line in Path(classes).read_text().splitlines() if line.strip()]
    if classes is None:
        classes = own.get('classes')
    return classes if isinstance(classes, (list, tuple)) else None


def _metainfo(
    cls: type | None,
    node: dict,
    own: Mapping[str, Any],
    classes: Sequence[str] | None,
    file_classes: Sequence[str] | None,
) -> dict[str, Any]:
    meta = {**own, **(node.get('metainfo') or {}), 'classes': classes}
    zero_label = argument(cls, node, 'reduce_zero_label', None)
    if zero_label is None:  # segmentation maps alone are numbered
        return meta
    meta['reduce_zero_label'] = zero_label
    numbers = {name: index for index, name in enumerate(file_classes or ())}
    chosen = [numbers.get(name) for name in classes or ()]
    if chosen != list(range(len(numbers))) and None not in chosen:
        meta['label_map'] = dict.fromkeys(numbers.values(), 255) | {old: new for new, old in enumerate(chosen)}
    return meta
