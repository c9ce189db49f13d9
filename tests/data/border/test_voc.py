"""Pascal VOC as people have it: each object is taken or told."""

from __future__ import annotations

from pathlib import Path

import pytest

from effformer_dense.data.border.findings import Action, Findings
from effformer_dense.data.border.formats.places import SourceTable
from effformer_dense.data.border.formats.voc import find_voc, voc_tables
from effformer_dense.data.border.tree import list_tree
from effformer_dense.errors import UserError

from .folders import objects_of, write_picture, write_text

SIZE = '<size><width>100</width><height>60</height><depth>3</depth></size>'


def _object(name: str, box: tuple[object, ...] = (10, 10, 30, 30), extra: str = '') -> str:
    corners = ''.join(
        f'<{key}>{value}</{key}>' for key, value in zip(('xmin', 'ymin', 'xmax', 'ymax'), box, strict=True)
    )
    return f'<object><name>{name}</name>{extra}<bndbox>{corners}</bndbox></object>'


def _write(root: Path, stem: str, content: str, filename: str | None = None, head: str = '') -> None:
    write_picture(root / 'JPEGImages' / f'{stem}.jpg')
    text = f'{head}<annotation><filename>{filename or stem + ".jpg"}</filename>{content}</annotation>'
    write_text(root / 'Annotations' / f'{stem}.xml', text)


def _read(root: Path, classes: list[str] | None = None) -> tuple[dict[str, SourceTable], Findings]:
    tree, findings = list_tree(root), Findings()
    found = find_voc(tree, findings)
    assert found is not None
    return voc_tables(tree, found, classes, findings), findings


def _write_at(root: Path, picture: str, file: str, filename: str) -> None:
    write_picture(root / picture)
    write_text(root / file, f'<annotation><filename>{filename}</filename>{SIZE}{_object(picture)}</annotation>')


@pytest.mark.parametrize(
    ('picture', 'file'),
    [
        ('{}/images/0001.jpg', '{}/annotations/0001.xml'),
        ('JPEGImages/{}/0001.jpg', 'Annotations/{}/0001.xml'),
        ('{}/0001.jpg', '{}/0001.xml'),
    ],
)
def test_pictures_of_one_name_in_several_folders(picture: str, file: str, tmp_path: Path) -> None:
    for split in ('train', 'val'):
        _write_at(tmp_path, picture.format(split), file.format(split), '0001.jpg')
    tables, findings = _read(tmp_path)
    for split in ('train', 'val'):
        (row,) = tables[split].table['images']
        (one,) = objects_of(tables[split])
        assert row['file_name'] == one['category'] == picture.format(split)
    assert findings.count() == 0


@pytest.mark.parametrize(
    ('picture', 'mask', 'file'),
    [
        ('images/1.jpg', 'annotations/1.png', 'annotations/1.xml'),
        ('photos/1.jpg', 'masks/1.png', 'Annotations/1.xml'),
        ('1.jpg', '1.png', '1.xml'),
    ],
)
def test_masks_of_the_same_stem_are_not_taken_for_the_picture(
    picture: str, mask: str, file: str, tmp_path: Path
) -> None:
    write_picture(tmp_path / mask)
    _write_at(tmp_path, picture, file, '1.jpg')
    tables, findings = _read(tmp_path)
    (table,) = tables.values()
    assert [row['file_name'] for row in table.table['images']] == [picture] and findings.count() == 0


def test_names_that_several_pictures_have_and_names_of_others(tmp_path: Path) -> None:
    _write_at(tmp_path, 'a/1.jpg', 'elsewhere/1.xml', '1.jpg')
    write_picture(tmp_path / 'b' / '1.jpg')
    _write_at(tmp_path, '2.jpg', '2.xml', '3.jpg')  # the set was numbered anew
    write_picture(tmp_path / '3.jpg')
    tables, findings = _read(tmp_path)
    (table,) = tables.values()
    assert [row['file_name'] for row in table.table['images']] == ['2.jpg']
    assert (
        '2 pictures have this name, such as a/1.jpg and b/1.jpg'
        in findings.only(Action.DROPPED, 'picture not there').reason
    )
    assert (
        "'3.jpg' is another picture, 3.jpg; '2.jpg' is taken" in findings.only(Action.DOUBTFUL, 'picture name').reason
    )


def test_lists_of_two_years(tmp_path: Path) -> None:
    for year in (2007, 2012):
        _write_at(
            tmp_path, f'VOC{year}/JPEGImages/{year}_1.jpg', f'VOC{year}/Annotations/{year}_1.xml', f'{year}_1.jpg'
        )
        write_text(tmp_path / f'VOC{year}' / 'ImageSets' / 'Main' / 'train.txt', f'{year}_1\n')
    tables, _ = _read(tmp_path)
    assert len(tables['train'].table['images']) == 2


def test_boxes_classes_and_difficult_objects(tmp_path: Path) -> None:
    _write(tmp_path, 'b ü', SIZE + _object('dög') + _object('cat', (1.5, 2, 99.5, 40), '<difficult>1</difficult>'))
    write_text(tmp_path / 'ImageSets' / 'Main' / 'train.txt', 'b ü\n')
    tables, findings = _read(tmp_path)
    table = tables['train'].table
    assert [row['name'] for row in table['categories']] == ['cat', 'dög']
    assert [(row['category'], row['bbox'], row['iscrowd']) for row in objects_of(tables['train'])] == [
        ('dög', [10, 10, 20, 20], 0),
        ('cat', [1.5, 2, 98, 38], 1),
    ]
    assert findings.count() == findings.count(Action.DOUBTFUL, 'difficult object') == 1


@pytest.mark.parametrize(
    ('content', 'kind'),
    [
        ('<object><name>cat</name></object>', 'no box'),
        (_object('cat', ('x', 1, 5, 5)), 'no box'),
        (_object('bird'), 'unknown class'),
    ],
)
def test_an_object_that_is_none_is_told(content: str, kind: str, tmp_path: Path) -> None:
    _write(tmp_path, 'a', SIZE + _object('cat') + content)
    tables, findings = _read(tmp_path, ['cat'])
    assert len(tables['all'].table['annotations']) == 1 and findings.count(Action.DROPPED, kind) == 1
    assert 'Annotations/a.xml object 2' in next(findings.summary())


def test_a_name_from_another_machine_and_no_size(tmp_path: Path) -> None:
    _write(tmp_path, 'a', _object('cat'), filename='C:\\me\\other.jpg')
    tables, findings = _read(tmp_path)
    (image,) = tables['all'].table['images']
    assert (image['file_name'], image['width'], image['height']) == ('JPEGImages/a.jpg', 100, 60)
    assert findings.count(Action.REPAIRED, 'picture name') == findings.count(Action.REPAIRED, 'no size') == 1


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    _write(tmp_path, 'a', SIZE + _object('cat'))
    write_text(tmp_path / 'Annotations' / 'cut.xml', '<annotation><object>')
    write_text(tmp_path / 'Annotations' / 'gone.xml', f'<annotation><filename>gone.jpg</filename>{SIZE}</annotation>')
    tables, findings = _read(tmp_path)
    assert len(tables['all'].table['images']) == 1
    assert findings.count(Action.DROPPED, 'file unreadable') == findings.count(Action.DROPPED, 'picture not there') == 1


def test_entities_are_refused(tmp_path: Path) -> None:
    entities = '<!DOCTYPE lolz [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>'
    _write(tmp_path, 'a', SIZE + _object('&b;'), head=entities)
    with pytest.raises(UserError, match=r'a.xml defines entities'):
        _read(tmp_path)


@pytest.mark.parametrize('side', ['nan', '1e999', '0', '', 'wide'])
def test_a_size_that_is_no_number_is_read_from_the_picture(side: str, tmp_path: Path) -> None:
    _write(tmp_path, 'a', f'<size><width>{side}</width><height>60</height></size>' + _object('cat'))
    tables, findings = _read(tmp_path)
    assert tables['all'].table['images'][0]['width'] == 100 and findings.count(Action.REPAIRED, 'no size') == 1
