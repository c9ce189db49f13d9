"""COCO files for a run: as they are where mmdet and COCOeval understand them, else in their canonical form."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmengine.registry import DATASETS

from ..config.datasets import DatasetView
from ..config.nodes import walk
from ..config.registry import find_component
from ..data.border.categories import CATEGORY_IDS
from ..data.border.coco import clean_coco, count_masks
from ..data.border.findings import Action, Findings
from ..data.border.image_records import ImageOptions, clean_images
from ..data.border.numbers import MAX_ID
from ..data.border.picture_folder import PictureFolder
from ..data.border.tables import read_table
from ..data.resizing import smallest_size
from ..errors import UserError, some_of
from ..invocation import command
from ..tasks import Reading
from ..variants import MIN_SIDE_PX

Table = dict[str, Any]

#: Of how many pictures the header is read and the file looked through; of all, only that they are there.
OPENED_PICTURES = 200

#: What mmdet and COCOeval do as well when they read the file as it is.
HARMLESS = frozenset(
    (
        CATEGORY_IDS,
        'category not among classes',
        'category without objects',
        'class not wanted',
        'no such category',
        'no such picture',
    )
)

#: What moves scores a little, and is left as it is in the file that a data set class stands for, since published scores
#: count it.
PUBLISHED = frozenset(
    ('box outside', 'box under a pixel', 'mask outside', 'mask without pixels', 'object listed twice')
)

#: Kinds of findings after which scores would be those of a part of the pictures.
_LOST_PICTURES = (
    'picture missing',
    'picture empty',
    'picture broken',
    'picture too large',
    'picture too narrow',
    'picture without name',
    'picture ambiguous',
    'picture id not unique',
)

#: Objects without a mask are left out up to this share, where masks are learned.
_FEW_WITHOUT_MASK = 0.01


def is_coco(dataset: DatasetView) -> bool:
    """Whether a data set has a COCO file, and reads it as mmdet's CocoDataset does."""
    coco: Any = find_component(DATASETS, 'mmdet.CocoDataset')
    if dataset.annotation is None or dataset.annotation.suffix.lower() != '.json' or dataset.cls is None:
        return False
    same = (getattr(dataset.cls, name, None) is getattr(coco, name) for name in ('load_data_list', 'parse_data_info'))
    return coco is not None and issubclass(dataset.cls, coco) and all(same)


def read_clean(dataset: DatasetView, reading: Reading, findings: Findings) -> Table:
    """The canonical table of a data set that :func:`is_coco`.

    Raises:
        UserError: see :func:`.data.border.tables.read_table` and :func:`.data.border.coco.clean_coco`.
    """
    return _clean(_read(dataset, findings), dataset, reading, findings)


def _read(dataset: DatasetView, findings: Findings) -> Table:
    assert dataset.annotation is not None
    return read_table(dataset.annotation, findings)


def _clean(table: Table, dataset: DatasetView, reading: Reading, findings: Findings) -> Table:
    return clean_coco(
        table,
        file=str(dataset.annotation),
        pictures=_folder(dataset),
        findings=findings,
        classes=dataset.classes,
        opened=OPENED_PICTURES,
        outside_root=reading.outside_root,
        max_pixels=reading.max_pixels,
        progress=reading.progress,
    )


def fit_annotations(dataset: DatasetView, reading: Reading, findings: Findings) -> Table | None:
    """Look through the annotations before a run.

    Args:
        dataset: one that :func:`is_coco`.
        reading: what the run does with it.
        findings: takes note of every record that is repaired, dropped or doubtful.

    Returns:
        None if the file can be read as it is; else the table to be read in its place.

    Raises:
        UserError: see :func:`read_clean`; masks are learned or scored and objects have none; or pictures that are to be
            scored cannot be used.
    """
    if _only_formats(reading.evaluator):
        _check_pictures(dataset, reading, findings)
        return None
    original = _read(dataset, findings)
    table = _without_narrow(_clean(original, dataset, reading, findings), dataset, findings)
    file = str(dataset.annotation)
    if reading.evaluator is not None:
        _check_complete(file, dataset, findings)
    if _needs_masks(dataset, reading.evaluator):
        table = _with_masks(table, file, findings)
    kinds = {**findings.kinds(Action.REPAIRED), **findings.kinds(Action.DROPPED)}
    readable = HARMLESS | PUBLISHED if _is_published(dataset) else HARMLESS
    return None if readable.issuperset(kinds) else _with_category_ids(table, original['categories'])


def _only_formats(evaluator: Any) -> bool:
    """Whether results are written for a server, and not scored: there may be no annotations, as of COCO's test-dev."""
    metrics = [node for _, node in walk(evaluator) if 'type' in node]
    return bool(metrics) and all(node.get('format_only') for node in metrics)


def _check_pictures(dataset: DatasetView, reading: Reading, findings: Findings) -> None:
    """All pictures of a file are there, under the names and of the sizes that it says.

    Raises:
        UserError: one is not.
    """
    assert dataset.annotation is not None
    file, folder = str(dataset.annotation), PictureFolder(_folder(dataset), reading.outside_root)
    options = ImageOptions(OPENED_PICTURES, reading.max_pixels, reading.progress)
    clean_images(read_table(dataset.annotation, annotated=False)['images'], file, folder, findings, options)
    _check_complete(file, dataset, findings)
    if findings.count(Action.REPAIRED):
        lines = '\n'.join(findings.summary())
        raise UserError(
            f'{file} is not as the server that scores the results will read it. Download it again.\n{lines}'
        )


def _folder(dataset: DatasetView) -> Path:
    return dataset.folders.get('img', dataset.root)


def _is_published(dataset: DatasetView) -> bool:
    """Whether the classes are those that the data set's class itself names: COCO's 80, and not a user's own."""
    return tuple(dataset.classes or ()) == tuple(getattr(dataset.cls, 'METAINFO', {}).get('classes') or ())


def _check_complete(file: str, dataset: DatasetView, findings: Findings) -> None:
    dropped = findings.kinds(Action.DROPPED)
    lost = {kind: dropped[kind] for kind in _LOST_PICTURES if kind in dropped}
    if lost:
        lines = '\n'.join(line for line in findings.summary() if any(f'dropped, {kind}:' in line for kind in lost))
        raise UserError(
            f'{file}: {sum(lost.values()):,} of its pictures cannot be used, and scores would silently be those of the '
            f'others. Complete {_folder(dataset)}, or cut the annotations.\n{lines}'
        )


def _without_narrow(table: Table, dataset: DatasetView, findings: Findings) -> Table:
    """The table without pictures of which the pipeline's resizing leaves no pixel; mmdet pads those of a few."""
    shortest = {
        size: min(smallest_size(dataset.pipeline, *size))
        for size in {(row['width'], row['height']) for row in table['images']}
    }
    sides = {row['id']: shortest[row['width'], row['height']] for row in table['images']}
    names = {row['id']: row['file_name'] for row in table['images'] if sides[row['id']] < MIN_SIDE_PX}
    gone = {number for number in names if sides[number] < 1}
    for action, some in ((Action.DROPPED, gone), (Action.DOUBTFUL, names.keys() - gone)):
        if some:
            reason = f'resizing leaves less than {1 if some is gone else MIN_SIDE_PX} px of a side of '
            reason += some_of(sorted(names[number] for number in some), 5)
            findings.add(action, 'picture too narrow', str(dataset.annotation), 'images', reason, len(some))
    if not gone:
        return table
    if len(gone) == len(table['images']):
        raise UserError(f'{dataset.annotation}: resizing leaves nothing of any picture. Mend the scale of that step.')
    return {
        **table,
        'images': [row for row in table['images'] if row['id'] not in gone],
        'annotations': [row for row in table['annotations'] if row['image_id'] not in gone],
    }


def _with_masks(table: Table, file: str, findings: Findings) -> Table:
    """The table without the objects that have no mask, if they are few."""
    count = count_masks(table)
    if not count.lacking:
        return table
    total = count.having + count.lacking
    if count.lacking > _FEW_WITHOUT_MASK * total:
        raise UserError(
            f'{file}: {count.lacking:,} of {total:,} objects have no mask, and this config learns or scores masks. '
            'Build on one for boxes (fasterrcnn_v2_s1_coco), or let boxes stand for masks: '
            f'{command("prepare-data")} own FOLDER --masks-from-boxes'
        )
    without = [row['id'] for row in table['annotations'] if not row['segmentation']]
    reason = f'and masks are needed: {some_of(without, 5)}'
    findings.add(Action.DROPPED, 'no mask', file, 'annotations', reason, len(without))
    return {**table, 'annotations': [row for row in table['annotations'] if row['segmentation']]}


def _with_category_ids(table: Table, categories: list[Any]) -> Table:
    """The table with a file's own category ids, so that results can be compared with that file; if they are usable."""
    own = {row.get('name'): row.get('id') for row in categories if isinstance(row, dict)}
    ids = {row['id']: own.get(row['name']) for row in table['categories']}
    usable = all(type(one) is int and 0 <= one < MAX_ID for one in ids.values()) and len(set(ids.values())) == len(ids)
    if not usable or len(own) < len(categories):
        return table
    return {
        **table,
        'categories': [{**row, 'id': ids[row['id']]} for row in table['categories']],
        'annotations': [{**row, 'category_id': ids[row['category_id']]} for row in table['annotations']],
    }


def _needs_masks(dataset: DatasetView, evaluator: Any) -> bool:
    """Whether the pipeline of a data set loads masks, or a metric compares them."""
    loading = any(step.get('with_mask') for _, step in walk(dataset.pipeline))
    metrics = [node.get('metric') for _, node in walk(evaluator)]
    return loading or any('segm' in ([metric] if isinstance(metric, str) else metric or ()) for metric in metrics)
