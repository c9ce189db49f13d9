"""A data set of one's own, from the folder of an annotation tool to a config that trains on it."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TextIO

from ..config.home import find_config
from ..data.border.canonical import remove_splits, write_coco
from ..data.border.categories import clean_categories
from ..data.border.coco import clean_coco, count_masks
from ..data.border.findings import Action, Findings
from ..data.border.formats.coco_files import coco_tables
from ..data.border.formats.labelme import LabelmeSet, labelme_tables
from ..data.border.formats.map_folders import MapSet
from ..data.border.formats.places import WHOLE, PlacedFindings, SourceTable
from ..data.border.formats.via import ViaSet, via_tables
from ..data.border.formats.voc import VocSet, voc_tables
from ..data.border.formats.yolo import yolo_tables
from ..data.border.formats.yolo_layout import YoloSet
from ..data.border.maps import default_palette
from ..data.border.recipe import BOXES, MASKS, Facts, detection_recipe, median_size, objects_px
from ..data.border.recognise import CocoSet, Found, recognise
from ..data.border.splits import check_splits, split_pictures
from ..data.border.tree import Tree, list_tree
from ..errors import UserError, some_of
from ..files import check_output_dir, write_text
from ..invocation import command
from ..options import OwnDataOptions
from .own_base import check_base
from .own_maps import prepare_maps
from .progress import progress_bar

REPORT = 'report.jsonl'
Table = dict[str, Any]


@dataclass(frozen=True)
class Target:
    """Where a prepared data set goes.

    Attributes:
        out: folder of the canonical files.
        name: of the config.
        pictures: folder of the pictures as the config names it.
    """

    out: Path
    name: str
    pictures: str


def prepare_own_data(folder: Path, options: OwnDataOptions) -> list[str]:
    """Read a data set of any format that is recognised, and write its canonical form, a report and a config.

    Args:
        folder: what an annotation tool exported; nothing in it is changed.
        options: see there.

    Returns:
        What was found and done, line by line; the last is the command that trains.

    Raises:
        UserError: nothing is recognised, nothing sensible can be trained, or ``strict`` and a record had to be changed.
    """
    target = _target(folder, options)
    if options.base is not None and find_config(options.base) is None:
        raise UserError(f'--base {options.base} is no config of ours and no file.')
    tree = list_tree(folder, options.outside_root)
    target.out.mkdir(parents=True, exist_ok=True)
    with _report(target.out / REPORT) as sink:
        findings = Findings(sink)
        for name in tree.misnamed:
            reason = 'its name is no UTF-8. Rename it: convmv -r -f latin1 -t utf8 --notest FOLDER'
            findings.add(Action.DROPPED, 'file name', name, '', reason)
        with progress_bar(f'{folder}: looking what it holds'):
            found = recognise(tree, findings, options.format)
        if options.base is not None:
            options = replace(options, base=check_base(options.base, isinstance(found, MapSet)))
        if isinstance(found, MapSet):
            lines, text = prepare_maps(tree, found, target.out, target.name, target.pictures, options, findings)
        else:
            lines, text = _prepare_tables(tree, found, target, options, findings)
    config = target.out / f'{target.name}.py'
    write_text(config, text)
    lines += [f'  {line}' for line in findings.summary()] or ['  nothing had to be changed']
    if findings.count():
        lines.append(f'{target.out / REPORT}: all of that, one record a line')
    return [*lines, f'{config}: the config. Train with:', f'{command("train")} {shlex.quote(str(config))}']


def _target(folder: Path, options: OwnDataOptions) -> Target:
    """Where results go.

    Raises:
        UserError: into the original, or to a folder that holds something else.
    """
    root = folder.absolute()
    root = Path(os.path.normpath(root))
    out = Path(os.path.normpath((options.out or root.with_name(f'{root.name}_prepared')).absolute()))
    if out.resolve().is_relative_to(root.resolve()):
        raise UserError(f'--out {out} is in {root}, which is never changed. Name another place.')
    check_output_dir(out)
    if out.exists() and any(out.iterdir()) and not (out / REPORT).exists():
        raise UserError(f'{out} is there and holds something else. Name an empty or new folder: --out DIR')
    name = re.sub(r'\W+', '_', root.name).strip('_')[:60] or 'own'
    beside = root.parent == out.parent
    return Target(out, name, f'{os.path.relpath(root, out)}/' if beside else f'{root}/')


@contextmanager
def _report(path: Path) -> Iterator[TextIO]:
    """A file for findings; it stays when the data are refused, to be looked at, if there is something in it."""
    scratch = path.with_name(f'.{path.name}.{os.getpid()}.partial')
    try:
        with scratch.open('w', encoding='utf-8') as file:
            yield file
    except UserError:
        if not scratch.stat().st_size:
            scratch.unlink()
            with suppress(OSError):  # the folder is not empty
                path.parent.rmdir()
        raise
    finally:
        if scratch.exists():
            os.replace(scratch, path)


def _prepare_tables(
    tree: Tree, found: Found, target: Target, options: OwnDataOptions, findings: Findings
) -> tuple[list[str], str]:
    """Write COCO files; returns what was done and the text of the config."""
    with progress_bar(f'{tree.root}: reading {_describe(found)}'):
        sources = _with_objects(_read(tree, found, options, findings), findings)
    classes = list(options.classes) or _common_classes(sources)
    tables = {split: _clean(tree, source, classes, options, findings) for split, source in sources.items()}
    tables = _split(tree, tables, options, findings)
    masks = _masks(tables, findings)
    if options.strict:
        findings.refuse_any()
    remove_splits(target.out)
    for split, table in tables.items():
        path = target.out / 'annotations' / f'{split}.json'
        with progress_bar(str(path)) as progress:
            write_coco(path, table, progress)
    train = tables['train']
    facts = Facts(
        name=target.name,
        classes=classes,
        palette=default_palette(len(classes) + 1)[1:],
        counts={split: len(table['images']) for split, table in tables.items()},
        size=median_size([(row['height'], row['width']) for row in train['images']]),
        root=f'{target.out}/',
        pictures=target.pictures,
        with_objects=len({row['image_id'] for row in train['annotations']}),
        objects_px=objects_px(train['images'], train['annotations']),
    )
    lines = [f'{tree.root}: {_describe(found)}, {len(classes)} classes: {some_of(classes, 10)}']
    for split, table in tables.items():
        path = target.out / 'annotations' / f'{split}.json'
        images, annotations = table['images'], table['annotations']
        empty = len(images) - len({row['image_id'] for row in annotations})
        without = f' ({empty:,} without objects)' if empty else ''
        lines.append(f'{path}: {len(images):,} pictures{without}, {len(annotations):,} objects')
    return lines, detection_recipe(facts, options.base or (MASKS if masks else BOXES), options.from_scratch)


def _read(tree: Tree, found: Found, options: OwnDataOptions, findings: Findings) -> dict[str, SourceTable]:
    if isinstance(found, CocoSet):
        return coco_tables(tree, found.files, findings)
    if isinstance(found, VocSet):
        return voc_tables(tree, found, list(options.classes) or None, findings, options.max_pixels)
    if isinstance(found, LabelmeSet):
        return labelme_tables(tree, found, list(options.classes) or None, findings, options.max_pixels)
    if isinstance(found, ViaSet):
        return via_tables(tree, found, list(options.classes) or None, findings, options.max_pixels)
    assert isinstance(found, YoloSet)
    return yolo_tables(tree, found, _yolo_classes(tree, found, options, findings), findings, options.max_pixels)


def _yolo_classes(tree: Tree, found: YoloSet, options: OwnDataOptions, findings: Findings) -> list[str]:
    """Names by number. ``--classes`` chooses among those of a file; as many other names take their places."""
    named, wanted = list(found.classes or ()), list(options.classes)
    if not named and not wanted:
        raise UserError(
            f'{tree.root} has no file of class names (data.yaml, classes.txt). Name them: --classes A B ...'
        )
    if not named or set(wanted) <= set(named):
        return named or wanted
    if len(wanted) != len(named) or set(wanted) & set(named):
        unknown = next(name for name in wanted if name not in named)
        raise UserError(
            f'--classes: {unknown!r} is none of the classes that the file has, {some_of(named, 10)}. Choose among '
            f'them, or name all {len(named)} anew, in their order, and none as before.'
        )
    renamed = ', '.join(f'{old} is {new}' for old, new in zip(named, wanted, strict=True))
    findings.add(Action.REPAIRED, 'class names', str(tree.root), '', f'by --classes, in their order: {renamed}')
    return wanted


def _with_objects(sources: dict[str, SourceTable], findings: Findings) -> dict[str, SourceTable]:
    """The splits without a test split that nobody has annotated, of which nothing can be scored."""
    if len(sources) == 1 or 'test' not in sources or sources['test'].table['annotations']:
        return sources
    reason = 'no object is in it; val is scored in its place'
    findings.add(Action.DOUBTFUL, 'test split without objects', sources['test'].file, '', reason)
    return {split: source for split, source in sources.items() if split != 'test'}


def _common_classes(sources: Mapping[str, SourceTable]) -> list[str]:
    """Classes of all splits, in the order of the first: by name, whatever their ids."""
    names: dict[str, None] = {}
    for source in sources.values():
        table = source.table
        cleaned = clean_categories(table['categories'], table['annotations'], None, source.file, Findings())
        names.update(dict.fromkeys(row['name'] for row in cleaned.rows))
    return list(names)


def _clean(
    tree: Tree, source: SourceTable, classes: Sequence[str], options: OwnDataOptions, findings: Findings
) -> Table:
    with progress_bar(source.file) as progress:
        return clean_coco(
            source.table,
            file=source.file,
            pictures=tree.root,
            findings=PlacedFindings(findings, source.places) if source.places else findings,
            classes=classes,
            outside_root=options.outside_root,
            masks_from_boxes=options.masks_from_boxes,
            box_format='xywh' if source.places else options.box_format,  # of other formats it is known
            max_pixels=options.max_pixels,
            progress=progress,
        )


def _split(tree: Tree, tables: dict[str, Table], options: OwnDataOptions, findings: Findings) -> dict[str, Table]:
    """Tables of 'train', 'val' and, where there is one, 'test'."""
    if WHOLE in tables and len(tables) > 1:
        if 'train' in tables:
            raise UserError(
                f'{tree.root}: one COCO file is for training by its name, and another tells no split. Rename it.'
            )
        tables = {'train': tables.pop(WHOLE), **tables}
    if 'train' in tables and 'val' in tables:
        check_splits(_names(tables), tree.root, findings)
        return tables
    if 'train' not in tables and len(tables) > 1:
        raise UserError(f'{tree.root} has pictures for {" and ".join(tables)}, and none for training.')
    source = 'train' if 'train' in tables else next(iter(tables))
    table = tables[source]
    if source not in ('train', WHOLE):
        findings.add(Action.DOUBTFUL, 'no training split', source, '', f'all there is is {source}; it is split')
        tables = {}
    labels: dict[int, set[int]] = {}
    for row in table['annotations']:
        labels.setdefault(row['image_id'], set()).add(row['category_id'])
    names = [row['file_name'] for row in table['images']]
    shown = [labels.get(row['id'], set()) for row in table['images']]
    with progress_bar('splits') as progress:
        sides = split_pictures(
            names, shown, tree.root, findings, options.val_fraction, options.seed, options.max_pixels, progress
        )
    train, val = (_part(table, positions) for positions in sides)
    result = {'train': train, 'val': val} | ({'test': tables['test']} if 'test' in tables else {})
    if 'test' in result:
        check_splits(_names(result), tree.root, findings)
    _tell_absent(result, findings)
    return result


def _part(table: Table, positions: Sequence[int]) -> Table:
    images = [table['images'][position] for position in positions]
    ids = {row['id'] for row in images}
    return {**table, 'images': images, 'annotations': [row for row in table['annotations'] if row['image_id'] in ids]}


def _names(tables: Mapping[str, Table]) -> dict[str, list[str]]:
    return {split: [row['file_name'] for row in table['images']] for split, table in tables.items()}


def _tell_absent(tables: Mapping[str, Table], findings: Findings) -> None:
    for split in ('train', 'val'):
        present = {row['category_id'] for row in tables[split]['annotations']}
        if not present:
            raise UserError(f'No picture that was chosen for {split} shows an object. Change --val-fraction or --seed.')
        for category in tables[split]['categories']:
            if category['id'] not in present:
                findings.add(Action.DOUBTFUL, 'class in one split only', split, category['name'], 'no object is of it')


def _masks(tables: Mapping[str, Table], findings: Findings) -> bool:
    """Whether heads with masks can be trained: every object has one."""
    counts = [count_masks(table) for table in tables.values()]
    having, lacking = sum(count.having for count in counts), sum(count.lacking for count in counts)
    if having and lacking:
        reason = f'{lacking:,} of {having + lacking:,} objects have no mask, so boxes alone are learned'
        findings.add(Action.DOUBTFUL, 'objects without mask', 'all files', '', f'{reason} (--masks-from-boxes)')
    return having > 0 and not lacking


def _describe(found: Found) -> str:
    if isinstance(found, CocoSet):
        return f'COCO ({", ".join(found.files.values())})'
    if isinstance(found, YoloSet):
        return f'YOLO ({found.source})'
    if isinstance(found, ViaSet):
        return f'VIA ({", ".join(found.files.values())})'
    return 'labelme' if isinstance(found, LabelmeSet) else 'Pascal VOC'
