"""What lies in a folder that an annotation tool exported."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal, get_args

from ...errors import UserError
from .findings import Findings
from .formats.labelme import LabelmeSet, find_labelme
from .formats.map_folders import MapSet, find_maps, in_listed_splits, is_map_folder
from .formats.places import WHOLE, split_named
from .formats.via import ViaSet
from .formats.voc import VocSet, find_voc
from .formats.yolo_layout import YoloSet, find_yolo
from .tree import Tree

FormatName = Literal['coco', 'yolo', 'voc', 'labelme', 'via', 'maps']
FORMATS: tuple[FormatName, ...] = get_args(FormatName)

_KNOWN = """What is recognised:
  coco  one or several COCO files (*.json), of CVAT, Roboflow, Label Studio and others, beside their pictures
  yolo  data.yaml, or labels/ beside images/ with classes.txt
  voc   one XML file per picture
  labelme  one JSON file per picture
  via   a project, or its annotations as JSON
  maps  pictures and segmentation maps: masks/, labels/, annotations/, SegmentationClass/, gtFine/, NAME_mask.png"""
_HEAD_BYTES = 65536


@dataclass(frozen=True)
class CocoSet:
    """COCO files, relative to the folder, per split."""

    files: dict[str, str]


Found = CocoSet | YoloSet | VocSet | LabelmeSet | ViaSet | MapSet


def recognise(tree: Tree, findings: Findings, wanted: FormatName | None = None) -> Found:
    """Recognise what a folder holds.

    Args:
        tree: the folder.
        findings: takes note of files that belong to nothing.
        wanted: the format, where a folder holds several.

    Raises:
        UserError: nothing is recognised, or several formats are; the message lists what is there.
    """
    json_files = _json_files(tree)
    if wanted is not None:
        found = _find(wanted, tree, json_files, findings)
        if found is None:
            raise UserError(
                f'{tree.root} holds nothing that looks like {wanted}; it holds {_contents(tree)}.\n{_KNOWN}'
            )
        return found
    holds = [name for name in FORMATS if _find(name, tree, json_files, Findings()) is not None]
    if not holds:
        _refuse_photographs(tree)
        raise UserError(f'{tree.root}: nothing is recognised; it holds {_contents(tree)}.\n{_KNOWN}')
    if len(holds) > 1:
        raise UserError(
            f'{tree.root} looks like {" and like ".join(holds)}; it holds {_contents(tree)}. Say which: '
            f'{" or ".join(f"--format {name}" for name in holds)}'
        )
    found = _find(holds[0], tree, json_files, findings)
    assert found is not None
    return found


def _find(name: FormatName, tree: Tree, json_files: dict[str, list[str]], findings: Findings) -> Found | None:
    if name == 'coco':
        files = _by_split(tree, json_files['coco'], 'COCO files')
        return CocoSet(files) if files else None
    if name == 'via':
        files = _by_split(tree, json_files['via'], 'files of VIA')
        return ViaSet(files) if files else None
    if name == 'labelme':
        return find_labelme(json_files['labelme'])
    if name == 'yolo':
        return find_yolo(tree, findings)
    if name == 'voc':
        return find_voc(tree, findings)
    maps = find_maps(tree, findings)
    return None if maps is None else in_listed_splits(tree, maps, findings)


def _by_split(tree: Tree, names: list[str], what: str) -> dict[str, str]:
    """Files by the split that their names or folders tell.

    Raises:
        UserError: two files would be the same split.
    """
    files: dict[str, str] = {}
    for name in names:
        split = _split_of_json(name)
        if split in files:
            raise UserError(
                f'{tree.root}: {files[split]} and {name} are both {what}, of one split by their names. Name them '
                'train.json and val.json, or leave one in the folder.'
            )
        files[split] = name
    return files


def _split_of_json(name: str) -> str:
    """``annotations/instances_train2017.json``, ``valid/_annotations.coco.json``, ``result.json``."""
    path = PurePosixPath(name)
    words = [*path.stem.replace('-', '_').replace('.', '_').split('_'), *reversed(path.parts[:-1])]
    return next((split for word in words if (split := split_named(word))), WHOLE)


def _json_files(tree: Tree) -> dict[str, list[str]]:
    """JSON files by what they are; those that are nothing known are left out."""
    found: dict[str, list[str]] = {'coco': [], 'labelme': [], 'via': []}
    for name in tree.below('', ('.json',)):
        kind = _kind_of_json(tree.root / name)
        if kind is not None:
            found[kind].append(name)
    return found


def _kind_of_json(path: Path) -> str | None:
    """What a JSON file is, by the keys at its beginning and its end: 'coco', 'labelme', 'via', None."""
    size = path.stat().st_size
    with path.open('rb') as file:
        head = file.read(_HEAD_BYTES).replace(b'\x00', b'')  # UTF-16
        file.seek(max(0, size - _HEAD_BYTES))
        tail = file.read(_HEAD_BYTES).replace(b'\x00', b'')
    both = head + tail
    if not head.lstrip(b'\xef\xbb\xbf\xff\xfe \t\r\n').startswith(b'{'):
        return None
    if b'"shapes"' in both and any(mark in both for mark in (b'"imagePath"', b'"imageData"', b'"imageHeight"')):
        return 'labelme'
    if b'"_via_' in head or (b'"regions"' in head and b'"filename"' in head):
        return 'via'
    needed = 2 if size <= 2 * _HEAD_BYTES else 1  # of a long file, only a part was read
    is_coco = sum(mark in both for mark in (b'"images"', b'"annotations"', b'"categories"')) >= needed
    return 'coco' if is_coco else None


def _refuse_photographs(tree: Tree) -> None:
    """Maps that were saved as JPEG.

    Raises:
        UserError: there are some.
    """
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
