"""What lies in a folder that an annotation tool exported."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal, get_args

from ...errors import UserError
from .findings import Findings
from .formats.map_folders import MapSet, find_maps, is_map_folder, listed_splits
from .formats.places import WHOLE, split_named
from .formats.voc import VocSet, find_voc
from .formats.yolo import YoloSet, find_yolo
from .tree import Tree

FormatName = Literal['coco', 'yolo', 'voc', 'maps']
FORMATS: tuple[FormatName, ...] = get_args(FormatName)

_KNOWN = """What is recognised:
  coco  one or several COCO files (*.json), of CVAT, Roboflow, Label Studio and others, beside their pictures
  yolo  data.yaml, or labels/ beside images/ with classes.txt
  voc   one XML file per picture
  maps  pictures and segmentation maps: masks/, labels/, annotations/, SegmentationClass/, gtFine/, NAME_mask.png"""
#: JSON of one picture or project: marks in its first bytes, what it is, how its own tool exports COCO.
_PROJECTS = (
    (b'"shapes"', b'"imagePath"', "labelme's own JSON", 'pip install labelme2coco; labelme2coco {root}'),
    (b'"_via_', b'"_via_', "VIA's own JSON", 'in VIA: Annotation, Export Annotations (COCO format)'),
    (b'"regions"', b'"file_attributes"', "VIA's own JSON", 'in VIA: Annotation, Export Annotations (COCO format)'),
)
_HEAD_BYTES = 65536


@dataclass(frozen=True)
class CocoSet:
    """COCO files, relative to the folder, per split."""

    files: dict[str, str]


Found = CocoSet | YoloSet | VocSet | MapSet


def recognise(tree: Tree, findings: Findings, wanted: FormatName | None = None) -> Found:
    """Recognise what a folder holds.

    Args:
        tree: the folder.
        findings: takes note of files that belong to nothing.
        wanted: the format, where a folder holds several.

    Raises:
        UserError: nothing is recognised, or several formats are; the message lists what is there.
    """
    if wanted is not None:
        found = _find(wanted, tree, findings)
        if found is None:
            raise UserError(
                f'{tree.root} holds nothing that looks like {wanted}; it holds {_contents(tree)}.\n{_KNOWN}'
            )
        return found
    all_found = {name: Findings() for name in FORMATS}
    holds = {name: found for name in FORMATS if (found := _find(name, tree, all_found[name])) is not None}
    if not holds:
        _refuse_known(tree)
        raise UserError(f'{tree.root}: nothing is recognised; it holds {_contents(tree)}.\n{_KNOWN}')
    if len(holds) > 1:
        raise UserError(
            f'{tree.root} looks like {" and like ".join(holds)}; it holds {_contents(tree)}. Say which: '
            f'{" or ".join(f"--format {name}" for name in holds)}'
        )
    (name,) = holds
    found = _find(name, tree, findings)
    assert found is not None
    return found


def _find(name: FormatName, tree: Tree, findings: Findings) -> Found | None:
    if name == 'coco':
        return _find_coco(tree)
    if name == 'yolo':
        return find_yolo(tree, findings)
    if name == 'voc':
        return find_voc(tree)
    maps = find_maps(tree, findings)
    return None if maps is None else listed_splits(tree, maps)


def _find_coco(tree: Tree) -> CocoSet | None:
    """COCO files by the split that their names or folders tell.

    Raises:
        UserError: two files would be the same split.
    """
    files: dict[str, str] = {}
    for name in tree.below('', ('.json',)):
        if not _is_coco(tree.root / name):
            continue
        split = _split_of_json(name)
        if split in files:
            raise UserError(
                f'{tree.root}: {files[split]} and {name} are both COCO files, of one split by their names. Name them '
                'train.json and val.json, or leave one in the folder.'
            )
        files[split] = name
    return CocoSet(files) if files else None


def _split_of_json(name: str) -> str:
    """``annotations/instances_train2017.json``, ``valid/_annotations.coco.json``, ``result.json``."""
    path = PurePosixPath(name)
    words = [*path.stem.replace('-', '_').replace('.', '_').split('_'), *reversed(path.parts[:-1])]
    return next((split for word in words if (split := split_named(word))), WHOLE)


def _is_coco(path: Path) -> bool:
    """Whether the keys of a COCO file stand at its beginning or, for one that begins with a long list, its end."""
    size = path.stat().st_size
    with path.open('rb') as file:
        head = file.read(_HEAD_BYTES)
        file.seek(max(0, size - _HEAD_BYTES))
        tail = file.read(_HEAD_BYTES)
    text = (head + tail).replace(b'\x00', b'')  # UTF-16
    marks = (b'"images"', b'"annotations"', b'"categories"')
    if any(one in head and two in head for one, two, _, _ in _PROJECTS):
        return False
    needed = 2 if size <= 2 * _HEAD_BYTES else 1  # of a long file, only a part was read
    starts = text.lstrip(b'\xef\xbb\xbf\xff\xfe \t\r\n').startswith(b'{')
    return starts and sum(mark in text for mark in marks) >= needed


def _refuse_known(tree: Tree) -> None:
    """JSON that is an annotation tool's own, and maps that were saved as JPEG.

    Raises:
        UserError: there is some; with the tool's way to COCO.
    """
    for name in tree.below('', ('.json',)):
        with (tree.root / name).open('rb') as file:
            head = file.read(_HEAD_BYTES)
        for one, two, what, way_out in _PROJECTS:
            if one in head and two in head:
                raise UserError(f'{tree.root / name} is {what}. Export COCO from it: {way_out.format(root=tree.root)}')
    photographs = next((folder for folder in tree.files if is_map_folder(PurePosixPath(folder).name)), None)
    if photographs is not None and tree.names(photographs, ('.jpg', '.jpeg')):
        raise UserError(
            f'{tree.root / photographs} holds JPEG files. If they are segmentation maps: compression has changed their '
            'values, so export them as PNG.'
        )


def _contents(tree: Tree) -> str:
    """What a folder holds, for a message."""
    kinds = []
    for folder, names in list(tree.files.items())[:12]:
        suffixes = sorted({PurePosixPath(name).suffix.lower() or name for name in names})
        kinds.append(f'{folder or "."}: {len(names):,} files {", ".join(suffixes[:4])}')
    return '; '.join(kinds) + ('; ...' if len(tree.files) > 12 else '')
