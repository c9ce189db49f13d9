"""Folders of segmentation maps of one's own: canonical maps, lists of the splits, and a config."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from ..data.border.canonical import remove_splits
from ..data.border.findings import Action, Findings
from ..data.border.formats.class_tables import CLASS_FILES, ClassTable, read_class_table
from ..data.border.formats.map_folders import MapSet
from ..data.border.formats.places import SPLITS, WHOLE
from ..data.border.maps import Coding, Survey, canonical_map, choose_coding, survey_maps
from ..data.border.recipe import MAPS, Facts, median_size, segmentation_recipe
from ..data.border.splits import check_splits, split_pictures
from ..data.border.tree import Tree
from ..data.headers import read_header
from ..data.segmentation_maps import UNLABELLED
from ..errors import UserError, some_of
from ..files import write_png, write_text
from ..options import OwnDataOptions
from .progress import Advance, progress_bar
from .quiet import without_import_notice

FOLDER = 'segmentation_maps'
_LONGEST_NAME = 255  # bytes
#: Cityscapes' number for training of each of its 34 ids (its own labels.py); 255 where an id is not trained on.
_CITYSCAPES_IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
_CITYSCAPES_VOID = tuple(number for number in range(34) if number not in _CITYSCAPES_IDS)


def prepare_maps(
    tree: Tree, maps: MapSet, out: Path, name: str, pictures: str, options: OwnDataOptions, findings: Findings
) -> tuple[list[str], str]:
    """Write canonical maps and lists of the splits.

    Args:
        tree: the folder.
        maps: what it holds.
        out, name, pictures: folder of results, name of the config, and folder of the pictures as the config names it.
        options: see there.
        findings: takes note of every change.

    Returns:
        What was done, and the text of the config.

    Raises:
        UserError: the maps cannot be understood, or nothing sensible can be trained on them.
    """
    table, classes, ignored = _classes(tree, maps, options)
    colours = None if table is None else table.colours
    pairs = [(tree.root / picture, tree.root / seg_map) for split in maps.pairs.values() for picture, seg_map in split]
    with progress_bar(str(tree.root)) as progress:
        survey = survey_maps(pairs, findings, colours, options.max_pixels, progress)
    coding = choose_coding(survey, classes, table, ignored, findings)
    splits = _usable(tree, maps, survey)
    # A test split whose maps say nothing is left out later.
    _check_splits_named(tree, {split: names for split, names in splits.items() if split != 'test'})
    common, suffix = _naming([name for names in splits.values() for name in names])
    with progress_bar(str(tree.root)) as progress:
        labels = _write_maps(tree, survey, coding, out, (common, suffix), options, findings, progress)
    splits = _split(tree, _with_labels(splits, labels, findings), labels, options, findings)
    if options.strict:
        findings.refuse_any()
    remove_splits(out)
    for split, names in splits.items():
        write_text(out / f'{split}.txt', ''.join(f'{_stem(one, common, suffix)}\n' for one in names))
    facts = _facts(tree, splits, coding, name, out, pictures + (f'{common}/' if common else ''))
    text = segmentation_recipe(facts, options.base or MAPS, options.from_scratch, suffix)
    return _lines(tree, maps, coding, splits, out), text


def _write_maps(
    tree: Tree,
    survey: Survey,
    coding: Coding,
    out: Path,
    naming: tuple[str, str],
    options: OwnDataOptions,
    findings: Findings,
    progress: Advance,
) -> dict[str, set[int]]:
    """Write canonical maps, as long as ``--strict`` allows; returns which classes each picture shows."""
    labels = {}
    for done, ((picture, seg_map), turn) in enumerate(survey.usable):
        indices = canonical_map(seg_map, coding, turn, survey.colours, options.max_pixels)
        relative = picture.relative_to(tree.root).as_posix()
        present = np.unique(indices)
        labels[relative] = set(present[present != UNLABELLED].tolist())
        if not labels[relative]:
            findings.add(Action.DOUBTFUL, 'map without labels', str(seg_map), '', 'every pixel is unlabelled')
        if not options.strict or not findings.count():
            write_png(out / FOLDER / f'{_stem(relative, *naming)}.png', indices)
        if done % 100 == 0:
            progress('maps written', done, len(survey.usable))
    return labels


def _classes(
    tree: Tree, maps: MapSet, options: OwnDataOptions
) -> tuple[ClassTable | None, Sequence[str] | None, tuple[int | str, ...]]:
    """Table of colours or numbers, names of the classes, and values, or names, that mean nothing."""
    ignored = tuple(int(word) if word.isdecimal() else word for word in options.ignore)
    names: Sequence[str] | None = options.classes or None
    if maps.city_ids or maps.train_ids:
        numbers = _CITYSCAPES_IDS if maps.city_ids else tuple(range(19))
        table = _published_table('CityscapesDataset', numbers)
        return *_renamed(table, names), (*ignored, *_CITYSCAPES_VOID) if maps.city_ids else ignored
    file = options.colours
    if file is None:
        beside = (tree.root / one for one in tree.below('', ('.txt', '.csv')) if PurePosixPath(one).name in CLASS_FILES)
        file = next(beside, None)
    if file is None and maps.ade20k and names is None:
        return _published_table('ADE20KDataset', tuple(range(1, 151))), None, (*ignored, 0)
    if file is None:
        return None, names, ignored
    found = read_class_table(file)
    if found.colours is None and found.values is None:
        return None, names or found.names, ignored
    return *_renamed(found, names), ignored


def _renamed(table: ClassTable, names: Sequence[str] | None) -> tuple[ClassTable, Sequence[str] | None]:
    """A table with names of one's own, if there are as many; else both."""
    if names and len(names) == len(table.names):
        return dataclasses.replace(table, names=tuple(names)), None
    return table, names


def _published_table(dataset: str, numbers: tuple[int, ...]) -> ClassTable:
    """Classes and colours of one of mmseg's data sets, under the numbers that they have in its maps."""
    with without_import_notice():
        import mmseg.datasets

    meta = getattr(mmseg.datasets, dataset).METAINFO
    colours = tuple((red, green, blue) for red, green, blue in meta['palette'])
    return ClassTable(tuple(name.strip() for name in meta['classes']), colours, numbers, f'the table of {dataset}')


def _usable(tree: Tree, maps: MapSet, survey: Survey) -> dict[str, list[str]]:
    """Pictures per split, relative to the root, whose map can be used."""
    usable = {picture.relative_to(tree.root).as_posix() for (picture, _), _ in survey.usable}
    splits = {split: [one for one, _ in pairs if one in usable] for split, pairs in maps.pairs.items()}
    return {split: splits[split] for split in (*SPLITS, WHOLE) if splits.get(split)}


def _check_splits_named(tree: Tree, splits: Mapping[str, Sequence[str]]) -> None:
    """Raises ``UserError`` for splits of which none is to be trained on."""
    if WHOLE in splits and len(splits) > 1:
        raise UserError(
            f'{tree.root}: {len(splits[WHOLE]):,} pictures, such as {splits[WHOLE][0]}, are in no folder of a split, '
            f'and others are in those of {", ".join(set(splits) - {WHOLE})}. Move them into one, or all out of theirs.'
        )
    if 'train' not in splits and len(splits) > 1:
        raise UserError(f'{tree.root} has pictures for {" and ".join(splits)}, and none for training.')


def _with_labels(
    splits: dict[str, list[str]], labels: Mapping[str, set[int]], findings: Findings
) -> dict[str, list[str]]:
    """The splits without a test split whose maps say nothing, as benchmarks publish them: nothing can be scored."""
    if len(splits) == 1 or any(labels[name] for name in splits.get('test', ())):
        return splits
    rest = {split: names for split, names in splits.items() if split != 'test'}
    if 'test' in splits:
        reason = f'all {len(splits["test"]):,} maps are unlabelled; val is scored in its place'
        findings.add(Action.DOUBTFUL, 'test split without labels', 'test', '', reason)
    return rest


def _naming(names: Sequence[str]) -> tuple[str, str]:
    """The folder that all pictures are in, and how all their names end: '' if they end differently.

    mmseg names a picture and its map by one stem and a suffix for each; where pictures have several suffixes, the whole
    name of the picture is the stem.
    """
    parents = {PurePosixPath(name).parent.as_posix() for name in names}
    common = os.path.commonpath(parents)
    suffixes = {PurePosixPath(name).suffix for name in names}
    stems = {str(PurePosixPath(name).with_suffix('')) for name in names}
    one = len(suffixes) == 1 and len(stems) == len(names)
    return ('' if common == '.' else common), (suffixes.pop() if one else '')


def _stem(name: str, common: str, suffix: str) -> str:
    inside = name.removeprefix(f'{common}/') if common else name
    stem = inside[: len(inside) - len(suffix)]
    if len(os.fsencode(PurePosixPath(stem).name)) + len('.png') > _LONGEST_NAME:
        raise UserError(f'{name}: the name is too long for its map to be called after it. Shorten it.')
    return stem


def _split(
    tree: Tree,
    splits: dict[str, list[str]],
    labels: Mapping[str, set[int]],
    options: OwnDataOptions,
    findings: Findings,
) -> dict[str, list[str]]:
    if 'train' in splits and 'val' in splits:
        check_splits(splits, tree.root, findings)
        return splits
    _check_splits_named(tree, splits)
    source = 'train' if 'train' in splits else next(iter(splits))
    if source not in ('train', WHOLE):
        findings.add(Action.DOUBTFUL, 'no training split', source, '', f'all there is is {source}; it is split')
    names = splits[source]
    shown = [labels[name] for name in names]
    with progress_bar('splits') as progress:
        train, val = split_pictures(
            names, shown, tree.root, findings, options.val_fraction, options.seed, options.max_pixels, progress
        )
    result = {'train': [names[place] for place in train], 'val': [names[place] for place in val]}
    if 'test' in splits and source != 'test':
        result['test'] = splits['test']
        check_splits(result, tree.root, findings)
    return result


def _facts(
    tree: Tree, splits: Mapping[str, Sequence[str]], coding: Coding, name: str, out: Path, pictures: str
) -> Facts:
    headers = [read_header(tree.root / one) for one in splits['train'][:: max(1, len(splits['train']) // 500)]]
    return Facts(
        name=name,
        classes=coding.classes,
        palette=coding.palette,
        counts={split: len(names) for split, names in splits.items()},
        size=median_size([(header.height, header.width) for header in headers]),
        root=f'{out}/',
        pictures=pictures,
    )


def _lines(tree: Tree, maps: MapSet, coding: Coding, splits: Mapping[str, Sequence[str]], out: Path) -> list[str]:
    some = some_of(coding.classes, 10)
    what = f'segmentation maps (names end with {maps.ending!r})' if maps.ending else 'segmentation maps'
    counts = ', '.join(f'{len(names):,} ({split})' for split, names in splits.items())
    return [
        f'{tree.root}: {what}, {len(coding.classes)} classes: {some}',
        f'{out / FOLDER}: {counts}; pictures stay where they are',
    ]
