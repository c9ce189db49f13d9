"""VOC's lists of splits as tools write them: each line means one file or is told, and so is what no list names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from effformer_dense.data.border.findings import Action, Findings
from effformer_dense.data.border.formats.map_folders import MapSet
from effformer_dense.data.border.formats.voc import VocSet
from effformer_dense.data.border.recognise import recognise
from effformer_dense.data.border.tree import list_tree

from .folders import write_map, write_picture, write_text

XML = '<annotation><object><name>cat</name></object></annotation>'


def _boxes(root: Path, *stems: str) -> None:
    for stem in stems:
        write_picture(root / 'JPEGImages' / f'{stem}.jpg')
        write_text(root / 'Annotations' / f'{stem}.xml', XML)


def _list(root: Path, split: str, *lines: str, kind: str = 'Main') -> None:
    write_text(root / 'ImageSets' / kind / f'{split}.txt', ''.join(f'{line}\n' for line in lines))


def _splits(root: Path) -> tuple[dict[str, list[str]], Findings]:
    findings = Findings()
    found = recognise(list_tree(root), findings)
    assert isinstance(found, VocSet)
    return found.splits, findings


@pytest.mark.parametrize(
    'line',
    ['x/a', 'x/a.jpg', './x/a', '/x/a', 'JPEGImages/x/a.jpg', 'x\\a', '"x/a"', ' x/a '],
)
def test_lines_with_folders(line: str, tmp_path: Path) -> None:
    _boxes(tmp_path, 'x/a', 'y/a')
    _list(tmp_path, 'train', line)
    _list(tmp_path, 'val', 'y/a')
    splits, findings = _splits(tmp_path)
    assert splits == {'train': ['Annotations/x/a.xml'], 'val': ['Annotations/y/a.xml']}
    assert findings.count() == 0


@pytest.mark.parametrize(('stem', 'line'), [('a.b', 'a.b'), ('a.b', 'a.b.jpg'), ('a.jpg', 'a.jpg'), ('a b', '"a b"')])
def test_lines_of_stems_with_points_and_spaces(stem: str, line: str, tmp_path: Path) -> None:
    _boxes(tmp_path, stem)
    _list(tmp_path, 'train', line)
    splits, findings = _splits(tmp_path)
    assert splits == {'train': [f'Annotations/{stem}.xml']} and findings.count() == 0


def test_a_list_means_the_files_of_its_own_data_set(tmp_path: Path) -> None:
    """Each year of VOC counts from 1 in some mirrors."""
    for year, split in (('2007', 'train'), ('2012', 'val')):
        _boxes(tmp_path / year, '000001')
        _list(tmp_path / year, split, '000001')
    splits, findings = _splits(tmp_path)
    assert splits == {'train': ['2007/Annotations/000001.xml'], 'val': ['2012/Annotations/000001.xml']}
    assert findings.count() == 0


def test_a_stem_means_the_file_in_no_further_folder(tmp_path: Path) -> None:
    _boxes(tmp_path, 'a', 'x/a')
    _list(tmp_path, 'train', 'a', 'x/a')
    splits, findings = _splits(tmp_path)
    assert splits == {'train': ['Annotations/a.xml', 'Annotations/x/a.xml']} and findings.count() == 0


def test_lines_that_mean_nothing_or_several_and_files_in_no_list_are_told(tmp_path: Path) -> None:
    _boxes(tmp_path, 'x/a', 'y/a', 'b', 'c')
    _list(tmp_path, 'train', 'a', 'b', 'gone')
    splits, findings = _splits(tmp_path)
    assert splits == {'train': ['Annotations/b.xml']}
    (lines,) = (line for line in findings.summary([Action.DROPPED]) if 'line of a list' in line)
    assert "train.txt line 1: 'a' names 2 of the files, such as Annotations/x/a.xml and Annotations/y/a.xml" in lines
    assert "train.txt line 3: 'gone' names none of the files" in lines
    assert findings.count(Action.DROPPED, 'in no list') == 3


def test_lists_that_name_nothing_are_told_and_left(tmp_path: Path) -> None:
    _boxes(tmp_path, 'a')
    _list(tmp_path, 'train', '1', '2')
    splits, findings = _splits(tmp_path)
    assert splits == {'all': ['Annotations/a.xml']}
    assert findings.count(Action.DOUBTFUL, 'list of a split') == findings.count() == 1


def test_lists_of_maps(tmp_path: Path) -> None:
    for stem in ('x/a', 'y/a', 'b'):
        write_picture(tmp_path / 'JPEGImages' / f'{stem}.jpg')
        write_map(tmp_path / 'SegmentationClass' / f'{stem}.png', np.zeros((60, 100), np.uint8))
    _list(tmp_path, 'train', 'x/a', 'JPEGImages/b.jpg', kind='Segmentation')
    _list(tmp_path, 'val', 'y/a', kind='Segmentation')
    found = recognise(list_tree(tmp_path), Findings())
    assert isinstance(found, MapSet)
    pairs = {stem: (f'JPEGImages/{stem}.jpg', f'SegmentationClass/{stem}.png') for stem in ('x/a', 'y/a', 'b')}
    assert found.pairs == {'train': [pairs['x/a'], pairs['b']], 'val': [pairs['y/a']]}


@pytest.mark.parametrize('place', ['', 'splits', 'ImageSets'])
@pytest.mark.parametrize('kind', ['maps', 'voc', 'yolo'])
def test_lists_elsewhere(kind: str, place: str, tmp_path: Path) -> None:
    """mmsegmentation's ``splits/train.txt``; lists of paths beside the folders."""
    for stem in 'abc':
        write_picture(tmp_path / 'images' / f'{stem}.jpg')
        if kind == 'maps':
            write_map(tmp_path / 'masks' / f'{stem}.png', np.zeros((60, 100), np.uint8))
        elif kind == 'voc':
            write_text(tmp_path / 'Annotations' / f'{stem}.xml', XML)
        else:
            write_text(tmp_path / 'labels' / f'{stem}.txt', '0 0.5 0.5 0.2 0.2\n')
    write_text(tmp_path / place / 'train.txt', './images/a.jpg masks/a.png\n/home/me/images/c.jpg\n')
    write_text(tmp_path / place / 'val.txt', 'b\n')
    write_text(tmp_path / 'test.txt', 'what was tried\n')  # any text
    findings = Findings()
    found = recognise(list_tree(tmp_path), findings)
    splits = found.pairs if isinstance(found, MapSet) else found.splits  # type: ignore[union-attr]
    stems = {
        split: [Path(str(one[0] if kind == 'maps' else one)).stem for one in those] for split, those in splits.items()
    }
    assert stems == {'train': ['a', 'c'], 'val': ['b']}
    assert findings.count() == 0


def test_lists_below_no_folder(tmp_path: Path) -> None:
    _boxes(tmp_path, 'a')
    write_text(tmp_path / 'Main' / 'train.txt', 'a\n')
    assert _splits(tmp_path)[0] == {'train': ['Annotations/a.xml']}
