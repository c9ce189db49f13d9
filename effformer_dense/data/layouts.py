"""What the data sets look like on disk, and the usual ways in which a folder misses that."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass
from pathlib import Path

# `mim download` calls the same client, with options that openxlab 0.1.3 no longer takes, and knows no ADE20K where
# mmsegmentation was installed from its package. The client pins old versions of what others need too.
_DOWNLOAD = """To download {what}: OpenMMLab's own downloader is the openxlab client; it wants a free account, and an
environment of its own:
  python3 -m venv ~/openxlab && ~/openxlab/bin/pip install openxlab && ~/openxlab/bin/openxlab login
  ~/openxlab/bin/openxlab dataset get --dataset-repo OpenDataLab/{repo} --target-path data
Then unpack {unpack}. By hand, without an account: see "{section}" in the README."""

_ARCHIVES = ('.zip', '.tar', '.tar.gz', '.tgz')


@dataclass(frozen=True)
class Part:
    """A folder of pictures, or of their segmentation maps.

    Attributes:
        path: relative to the data set's folder.
        suffix: of its files.
        count: how many the release has.
        maps: folder of the segmentation maps that belong to the pictures, if there is one.
        annotation: COCO file that names the pictures, if there is one.
    """

    path: str
    suffix: str
    count: int
    maps: str | None = None
    annotation: str | None = None


@dataclass(frozen=True)
class Layout:
    """Where a data set's files lie.

    Attributes:
        name: as the command ``prepare-data`` takes it.
        link: where the configs look, relative to the project or the current directory.
        parts: folders with files.
        files: single files.
        renamed: names that people or other programs give to folders and files, with the name here.
        dataset_types: data set classes that read it.
        download: how to get it.
    """

    name: str
    link: str
    parts: tuple[Part, ...]
    files: tuple[str, ...]
    renamed: dict[str, str]
    dataset_types: tuple[str, ...]
    download: str

    @property
    def paths(self) -> tuple[str, ...]:
        """Folders and files that must be there."""
        return (*(part.path for part in self.parts), *self.files)


COCO = Layout(
    name='coco',
    link='data/coco',
    parts=(
        Part('train2017', '.jpg', 118287, annotation='annotations/instances_train2017.json'),
        Part('val2017', '.jpg', 5000, annotation='annotations/instances_val2017.json'),
    ),
    files=('annotations/instances_train2017.json', 'annotations/instances_val2017.json'),
    renamed={
        'images/train2017': 'train2017',
        'images/val2017': 'val2017',
        'train': 'train2017',
        'val': 'val2017',
        'instances_train2017.json': 'annotations/instances_train2017.json',
        'instances_val2017.json': 'annotations/instances_val2017.json',
        'annotations_trainval2017/annotations': 'annotations',
    },
    dataset_types=('CocoDataset',),
    download=_DOWNLOAD.format(
        what='COCO 2017 (20 GB)',
        repo='COCO_2017',
        unpack='data/OpenDataLab___COCO_2017/raw/{Images,Annotations}/*.zip into data/coco',
        section='COCO',
    ),
)

ADE20K = Layout(
    name='ade20k',
    link='data/ade/ADEChallengeData2016',
    parts=(
        Part('images/training', '.jpg', 20210, maps='annotations/training'),
        Part('images/validation', '.jpg', 2000, maps='annotations/validation'),
        Part('annotations/training', '.png', 20210),
        Part('annotations/validation', '.png', 2000),
    ),
    files=(),
    renamed={
        'images/train': 'images/training',
        'images/val': 'images/validation',
        'annotations/train': 'annotations/training',
        'annotations/val': 'annotations/validation',
        'training': 'images/training',
        'validation': 'images/validation',
        'image': 'images',
        'img_dir': 'images',
        'annotation': 'annotations',
        'ann_dir': 'annotations',
        'labels': 'annotations',
    },
    dataset_types=('ADE20KDataset',),
    download=_DOWNLOAD.format(
        what="ADE20K's SceneParsing release (0.9 GB)",
        repo='ADE20K_2016',
        unpack='ADEChallengeData2016.zip, which is in it, into data/ade',
        section='ADE20K',
    ),
)

LAYOUTS = {layout.name: layout for layout in (COCO, ADE20K)}


def layout_of(dataset_type: object) -> Layout | None:
    """Layout that a data set class reads; None for one that is not known here."""
    return next((layout for layout in LAYOUTS.values() if dataset_type in layout.dataset_types), None)


def absent_paths(root: Path, layout: Layout) -> list[str]:
    """What of the layout is not in ``root``."""
    return [path for path in layout.paths if not os.path.exists(root / path)]  # False also where we may not look


def misplaced(root: Path, layout: Layout) -> str | None:
    """The usual mistake that explains why ``root`` does not have the layout, with the way out; None for no idea."""
    absent = absent_paths(root, layout)
    checks = (_nested, _elsewhere, _other_data_set, _full_ade20k, _renamed, _archive) if absent else (_nested,)
    return next((found for check in checks if (found := check(root, layout, absent))), None)


def _nested(root: Path, layout: Layout, absent: list[str]) -> str | None:
    """Archives that hold a folder, unpacked into a folder of the same name."""
    folders = {root / path.split('/')[0] for path in layout.paths} | {root / part.path for part in layout.parts}
    twice = sorted(folder for folder in folders if (folder / folder.name).is_dir())
    inner = [_quote(folder / folder.name) for folder in twice]
    moves = '; '.join(
        f'mv {name}/* {_quote(folder)}/ && rmdir {name}' for name, folder in zip(inner, twice, strict=True)
    )
    return f'It is one folder too deep: {moves}' if moves else None


def _elsewhere(root: Path, layout: Layout, absent: list[str]) -> str | None:
    """The folder named is one above or below the right one."""
    try:
        below = [Path(entry.path) for entry in os.scandir(root) if entry.is_dir()]
    except OSError:
        below = []
    for folder in (root.absolute().parent, root.absolute().parent.parent, *below):
        if len(absent_paths(folder, layout)) < len(absent):
            return f'The data set begins at {folder}: name that folder.'
    return None


def _other_data_set(root: Path, layout: Layout, absent: list[str]) -> str | None:
    """The folder of another data set was named."""
    others = (other for other in LAYOUTS.values() if other is not layout)
    found = next((other for other in others if len(absent_paths(root, other)) < len(other.paths)), None)
    return f'This looks like {found.name}, not {layout.name}.' if found and len(absent) == len(layout.paths) else None


def _full_ade20k(root: Path, layout: Layout, absent: list[str]) -> str | None:
    """The full release of ADE20K has 3000 classes and coloured annotations."""
    signs = ('index_ade20k.pkl', 'index_ade20k.mat', 'images/ADE')
    places = (root, *root.glob('ADE20K_*'))
    if layout is ADE20K and any((place / sign).exists() for place in places for sign in signs):
        return (
            'This is the full release of ADE20K, with coloured annotations of 3000 classes. The benchmark with 150 is '
            f'the SceneParsing release, ADEChallengeData2016.zip.\n{layout.download}'
        )
    return None


def _renamed(root: Path, layout: Layout, absent: list[str]) -> str | None:
    """Folders or files under names that are not those of the release."""
    moves: dict[str, str] = {}  # to: from
    for wrong, right in layout.renamed.items():
        needed = any(path == right or path.startswith(f'{right}/') for path in absent)
        if needed and (root / wrong).exists():
            moves.setdefault(right, wrong)
    commands = []
    for right, wrong in moves.items():
        if not (root / right).parent.exists():
            commands.append(f'mkdir -p {_quote((root / right).parent)}')
        commands.append(f'mv {_quote(root / wrong)} {_quote(root / right)}')
    return f'Under other names it is there: {"; ".join(dict.fromkeys(commands))}' if commands else None


def _archive(root: Path, layout: Layout, absent: list[str]) -> str | None:
    """Archives that nobody has unpacked."""
    found = sorted(p.name for p in root.iterdir() if p.name.endswith(_ARCHIVES))
    return f'Not unpacked yet: {", ".join(found)} in {root}.' if found else None


def _quote(path: Path) -> str:
    return shlex.quote(str(path))
