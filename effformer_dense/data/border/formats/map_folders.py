"""Folders of segmentation maps: which belongs to which picture, and how the split is called."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from ....errors import UserError
from ..findings import Action, Findings
from ..tree import Tree
from .places import PICTURES, SPLITS, WHOLE, split_named
from .split_lists import listed_splits

_MAPS = ('.png', '.bmp', '.tif', '.tiff')
#: How folders of pictures and of maps are called, in lower case.
_PICTURE_FOLDERS = frozenset(
    'images image img imgs img_dir image_dir jpegimages leftimg8bit pictures photos rgb input inputs raw'.split()
)
_MAP_FOLDERS = frozenset(
    'masks mask labels label annotations annotation ann_dir annots annot gtfine gt groundtruth ground_truth '
    'segmentationclass segmentation segmentations segmentation_maps seg segs maps targets output mask_dir'.split()
)
#: How names of such folders may end.
_MAP_TAILS = ('_masks', '_labels', '_mask', '_gt', 'annot')
#: Instances, and pictures for people to look at, which CVAT and labelme write beside the maps.
_NEITHER = frozenset({'segmentationobject', 'segmentationclassvisualization'})
#: What may follow the common part of the names, in the order of preference.
_PICTURE_ENDINGS = ('', '_leftImg8bit', '_image', '_img', '_rgb', '_sat')
_MAP_ENDINGS = (
    '', '_gtFine_labelTrainIds', '_gtFine_labelIds', '_labelTrainIds', '_labelIds', '_mask', '-mask', '.mask', '_masks',
    '_seg', '_segmentation', '_label', '_labels', '_gt', '_GT', '_L', '_P', '_annotation',
)  # fmt: skip


@dataclass(frozen=True)
class MapSet:
    """What folders of segmentation maps hold.

    Attributes:
        pairs: (picture, map) relative to the folder, per split.
        ending: what the names of the maps have that those of the pictures have not.
        ade20k: whether the names are those of ADE20K's SceneParsing release.
    """

    pairs: dict[str, list[tuple[str, str]]]
    ending: str
    ade20k: bool

    @property
    def city_ids(self) -> bool:
        """Whether the maps have Cityscapes' 34 ids, not the 19 numbers that are trained on."""
        return self.ending.endswith('labelIds')

    @property
    def train_ids(self) -> bool:
        """Whether the maps have Cityscapes' 19 numbers."""
        return self.ending.endswith('labelTrainIds')


def find_maps(tree: Tree, findings: Findings) -> MapSet | None:
    """Recognise pictures with segmentation maps.

    Raises:
        UserError: two folders of maps fit the pictures equally well.
    """
    pictures, alike = _by_key(tree.below('', PICTURES))
    candidates = _candidates(tree)
    best: list[tuple[int, int, str, str, dict[tuple[str, ...], str]]] = []
    for folder, maps in candidates.items():
        for ending in _endings(pictures, maps, same_folder=folder == ''):
            keyed = {key: name for name in maps if (key := _key(name, ending, of_map=True)) is not None}
            shared = [key for key in keyed if key in pictures and pictures[key] != keyed[key]]
            if shared:
                rank = _MAP_ENDINGS.index(ending) if ending in _MAP_ENDINGS else len(_MAP_ENDINGS)
                best.append((len(shared), -rank, folder, ending, keyed))
    if not best:
        return None
    best.sort(key=lambda one: one[:2], reverse=True)
    number, _, folder, ending, keyed = best[0]
    rivals = [one[2] for one in best[1:] if one[0] == number and one[2] != folder]
    if rivals:
        raise UserError(
            f'{tree.root}: maps of the pictures are in {folder or "."} and in {rivals[0] or "."}. '
            'Leave one kind of them in the folder.'
        )
    pairs: dict[str, list[tuple[str, str]]] = {}
    for key, name in sorted(keyed.items()):
        if key not in pictures:
            findings.add(Action.DROPPED, 'map without picture', name, '', 'no picture has this name')
            continue
        pairs.setdefault(_split_of(pictures[key], name), []).append((pictures[key], name))
    _tell_without_maps(pictures, alike, keyed, findings)
    ade20k = ending == '' and all(PurePosixPath(key[-1]).name.startswith('ADE_') for key in keyed)
    return MapSet(pairs, ending, ade20k)


def in_listed_splits(tree: Tree, maps: MapSet, findings: Findings) -> MapSet:
    """The splits that VOC's lists name, where the folders themselves name none."""
    if set(maps.pairs) != {WHOLE}:
        return maps
    maps_of = dict(maps.pairs[WHOLE])
    keys = {_key_of_picture(picture): picture for picture in maps_of}
    splits = listed_splits(tree, 'Segmentation', keys, _key_of_picture, findings)
    pairs = {split: [(picture, maps_of[picture]) for picture in pictures] for split, pictures in splits.items()}
    return replace(maps, pairs=pairs) if pairs else maps


def _key_of_picture(name: str) -> tuple[str, ...]:
    key = _key(name, ending='', of_map=False)
    assert key is not None  # every name ends with nothing
    return key


def _candidates(tree: Tree) -> dict[str, list[str]]:
    """Files that may be maps, by the folder that they are below; '' for those beside their pictures."""
    found: dict[str, list[str]] = {}
    for name in tree.below('', _MAPS):
        parts = PurePosixPath(name).parts[:-1]
        if _is_neither(parts):
            continue
        place = next((index for index, part in enumerate(parts) if is_map_folder(part)), None)
        folder = '' if place is None else _without_split(parts[place])
        found.setdefault(folder, []).append(name)
    return found


def _without_split(folder: str) -> str:
    """How folders of maps are called in all splits: trainannot and valannot are annot, train_masks are masks."""
    for word in sorted((word for words in SPLITS.values() for word in words), key=len, reverse=True):
        rest = folder[len(word) :].lstrip('_-')
        if folder.lower().startswith(word) and is_map_folder(rest):
            return rest
    return folder


def _is_neither(folders: Iterable[str]) -> bool:
    """Whether a file is below a folder of what is neither pictures nor maps of classes."""
    return any(part.lower() in _NEITHER for part in folders)


def is_map_folder(name: str) -> bool:
    """Whether a folder of that name holds maps."""
    plain = name.lower()
    return plain in _MAP_FOLDERS or plain.endswith(_MAP_TAILS)


def _key(name: str, ending: str, of_map: bool) -> tuple[str, ...] | None:
    """What a picture and its map have in common: folders without those that only say which is which, and the stem."""
    path = PurePosixPath(name)
    folders = []
    for part in path.parts[:-1]:
        plain = part.lower()
        if plain in _PICTURE_FOLDERS or plain in _MAP_FOLDERS:
            continue
        for tail in _MAP_TAILS if of_map else ('_images',):
            part = part[: len(part) - len(tail)] if plain.endswith(tail) else part
        folders.append(part)
    stem = PurePosixPath(path.stem)
    whole = stem.stem if of_map and stem.suffix.lower() in PICTURES else path.stem  # 0.jpg.png is the map of 0.jpg
    return (*folders, whole.removesuffix(ending)) if whole.endswith(ending) else None


def _by_key(names: Iterable[str]) -> tuple[dict[tuple[str, ...], str], dict[str, str]]:
    """Pictures by what they have in common with their maps; and those that others stand for, which are called alike."""
    found: dict[tuple[str, ...], str] = {}
    alike: dict[str, str] = {}
    for name in names:
        folders = PurePosixPath(name).parts[:-1]
        if any(is_map_folder(part) for part in folders) or _is_neither(folders):
            continue
        for ending in _PICTURE_ENDINGS:
            key = _key(name, ending, of_map=False)
            if key is not None and key[-1] and found.setdefault(key, name) != name and ending == '':
                alike[name] = found[key]
    return found, alike


def _endings(pictures: dict[tuple[str, ...], str], maps: Sequence[str], same_folder: bool) -> Iterator[str]:
    """Endings of maps' names that may be meant: the usual ones, and what the first names themselves suggest."""
    usual = [ending for ending in _MAP_ENDINGS if ending or not same_folder]
    yield from (ending for ending in usual if any(PurePosixPath(name).stem.endswith(ending) for name in maps[:1000]))
    if same_folder:
        return  # a.png and a1.png are two pictures
    stems = {key[-1] for key in list(pictures)[:1000]}
    rests: Counter[str] = Counter()
    for name in maps[:50]:
        stem = PurePosixPath(name).stem
        rests.update(stem[cut:] for cut in range(1, len(stem)) if stem[:cut] in stems)
    yield from (rest for rest, _ in rests.most_common(3) if rest not in _MAP_ENDINGS)


def _split_of(picture: str, name: str) -> str:
    """The split that a folder of the picture or of the map is named after."""
    for part in (*PurePosixPath(picture).parts[:-1], *PurePosixPath(name).parts[:-1]):
        plain = part.lower()
        for text in (plain, *(plain.removesuffix(tail) for tail in ('_images', *_MAP_TAILS))):
            if split_named(text):
                return split_named(text) or WHOLE
    return WHOLE


def _tell_without_maps(
    pictures: dict[tuple[str, ...], str], alike: dict[str, str], keyed: dict[tuple[str, ...], str], findings: Findings
) -> None:
    maps, with_map = set(keyed.values()), {pictures[key] for key in keyed if key in pictures}
    reasons = dict.fromkeys(sorted(set(pictures.values()) - with_map), 'no segmentation map has this name')
    reasons |= {name: f'{taken} is called so as well, and is taken for the map' for name, taken in alike.items()}
    for name, reason in reasons.items():
        if name not in maps:
            findings.add(Action.DROPPED, 'picture without map', name, '', reason)
