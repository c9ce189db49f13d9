"""Folders that are not what the configs expect: the usual mistakes are told."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from effformer_dense.data.layouts import ADE20K, COCO, absent_paths, layout_of, misplaced


def _make(root: Path, *paths: str) -> Path:
    for path in paths:
        target = root / path
        if target.suffix:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text('')
        else:
            target.mkdir(parents=True)
    return root


def test_whole_layouts_have_nothing_to_complain_of(tmp_path: Path) -> None:
    for layout in (COCO, ADE20K):
        root = _make(tmp_path / layout.name, *layout.paths)
        assert absent_paths(root, layout) == [] and misplaced(root, layout) is None


def test_folder_above_or_below_the_right_one(tmp_path: Path) -> None:
    root = _make(tmp_path / 'ADEChallengeData2016', *ADE20K.paths)
    assert misplaced(tmp_path, ADE20K) == f'The data set begins at {root}: name that folder.'
    assert misplaced(root / 'images', ADE20K) == f'The data set begins at {root}: name that folder.'
    assert misplaced(root / 'images' / 'validation', ADE20K) == f'The data set begins at {root}: name that folder.'


@pytest.mark.parametrize(
    ('layout', 'there', 'moves'),
    [
        (
            ADE20K,
            ['images/train', 'images/val', 'annotations/training', 'annotations/validation'],
            [('images/train', 'images/training'), ('images/val', 'images/validation')],
        ),
        (ADE20K, ['image/training', 'annotation/training'], [('image', 'images'), ('annotation', 'annotations')]),
        (COCO, ['images/train2017', 'val2017', 'annotations/x.json'], [('images/train2017', 'train2017')]),
        (
            COCO,
            ['train2017', 'val2017', 'annotations_trainval2017/annotations'],
            [('annotations_trainval2017/annotations', 'annotations')],
        ),
    ],
)
def test_other_names(layout, there: list[str], moves: list[tuple[str, str]], tmp_path: Path) -> None:
    message = misplaced(_make(tmp_path / 'set', *there), layout)
    assert message.startswith('Under other names it is there: ')
    for wrong, right in moves:
        assert f'mv {tmp_path / "set" / wrong} {tmp_path / "set" / right}' in message


def test_the_moves_mend_the_folder(tmp_path: Path) -> None:
    """What the message says can be pasted."""
    root = _make(tmp_path / 'set', 'images/train', 'images/val', 'annotations/train', 'annotations/val')
    _paste(misplaced(root, ADE20K))
    assert absent_paths(root, ADE20K) == []


@pytest.mark.parametrize(
    'there',
    [
        ['images/images/training', 'images/images/validation', 'annotations/training', 'annotations/validation'],
        [f'{kind}/{kind}/{split}' for kind in ('images', 'annotations') for split in ('training', 'validation')],
        ['images/training/training', 'images/validation', 'annotations/training', 'annotations/validation'],
        ['training', 'images/validation', 'annotations/training', 'annotations/validation'],
    ],
)
def test_nested_folders_and_folders_with_spaces(there: list[str], tmp_path: Path) -> None:
    root = _make(tmp_path / 'my set', *there)
    (root / there[0] / 'a.jpg').write_text('')
    _paste(misplaced(root, ADE20K))
    assert absent_paths(root, ADE20K) == [] and misplaced(root, ADE20K) is None
    assert (root / 'images' / 'training' / 'a.jpg').exists()


def _paste(message: str) -> None:
    subprocess.run(message.split(': ', 1)[1], shell=True, check=True)


def test_another_data_set_is_recognised(tmp_path: Path) -> None:
    assert misplaced(_make(tmp_path / 'set', *COCO.paths), ADE20K) == 'This looks like coco, not ade20k.'


def test_full_release_of_ade20k_and_archives(tmp_path: Path) -> None:
    full = _make(tmp_path / 'full', 'index_ade20k.pkl', 'images/ADE')
    assert 'full release of ADE20K' in misplaced(full, ADE20K) and 'openxlab' in misplaced(full, ADE20K)
    packed = _make(tmp_path / 'packed', 'train2017.zip', 'val2017.zip')
    assert misplaced(packed, COCO) == f'Not unpacked yet: train2017.zip, val2017.zip in {packed}.'
    assert misplaced(_make(tmp_path / 'else', 'cats'), COCO) is None


def test_layouts_are_found_by_data_set_class() -> None:
    assert layout_of('ADE20KDataset') is ADE20K and layout_of('CocoDataset') is COCO and layout_of('X') is None
