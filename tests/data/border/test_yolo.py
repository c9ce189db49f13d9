"""YOLO as people have it: each line becomes an object or a finding."""

from __future__ import annotations

from pathlib import Path

import pytest

from effformer_dense.data.border.coco import clean_coco
from effformer_dense.data.border.findings import Action, Findings
from effformer_dense.data.border.formats.places import PlacedFindings, SourceTable
from effformer_dense.data.border.formats.yolo import yolo_tables
from effformer_dense.data.border.formats.yolo_layout import find_yolo
from effformer_dense.data.border.tree import list_tree
from effformer_dense.errors import UserError

from .folders import write_picture, write_text, write_yolo

YAML = 'train: images/train\nval: images/train\nnames: [cat, hünd]\n'
BOX = '0 0.5 0.5 0.2 0.2\n'


def _read(root: Path) -> tuple[dict[str, SourceTable], Findings]:
    tree, findings = list_tree(root), Findings()
    found = find_yolo(tree, findings)
    assert found is not None and found.classes is not None
    return yolo_tables(tree, found, found.classes, findings), findings


def test_boxes_and_polygons_in_pixels(tmp_path: Path) -> None:
    write_yolo(tmp_path, {'ünï çode.jpg': BOX + '1 0.1 0.1 0.2 0.1 0.2 0.5\n'}, YAML)
    tables, findings = _read(tmp_path)
    box, polygon = tables['train'].table['annotations']
    assert box['bbox'] == pytest.approx([40, 24, 20, 12]) and (box['category_id'], box['segmentation']) == (1, [])
    assert polygon['bbox'] == pytest.approx([10, 6, 10, 24]) and polygon['category_id'] == 2
    assert polygon['segmentation'][0] == pytest.approx([10, 6, 20, 6, 20, 30]) and polygon['area'] == pytest.approx(120)
    assert tables['train'].table['categories'] == [{'id': 1, 'name': 'cat'}, {'id': 2, 'name': 'hünd'}]
    assert tables['train'].table['images'][0]['file_name'] == 'images/train/ünï çode.jpg' and findings.count() == 0


@pytest.mark.parametrize(
    ('line', 'kind'),
    [
        ('0 0.5 0.5', 'line is no object'),
        ('foo', 'line is no object'),
        ('0 0.1 0.1 0.2 0.1 0.2 0.5 0.3', 'line is no object'),
        ('7 0.5 0.5 0.2 0.2', 'unknown class'),
        ('-1 0.5 0.5 0.2 0.2', 'unknown class'),
        ('nan 0.5 0.5 0.2 0.2', 'unknown class'),
        ('0 0.5 0.5 0.2 0.2', 'object twice'),
    ],
)
def test_a_line_that_is_no_object_is_told_with_its_number(line: str, kind: str, tmp_path: Path) -> None:
    write_yolo(tmp_path, {'a.jpg': f'{BOX}\n{line}\n1 0.5 0.5 0.4 0.4\n'}, YAML)
    tables, findings = _read(tmp_path)
    assert len(tables['train'].table['annotations']) == 2
    assert findings.count(Action.DROPPED, kind) == 2, 'train and val are the same folder'
    assert any('labels/train/a.txt line 3' in text for text in findings.summary())


def test_numbers_are_judged_at_the_border_and_told_by_their_line(tmp_path: Path) -> None:
    write_yolo(tmp_path, {'a.jpg': BOX + '0 nan 0.5 0.2 0.2\n1 0.5 0.5 1.4 0.2\n'}, YAML)
    tables, findings = _read(tmp_path)
    source = tables['train']
    table = clean_coco(
        source.table, file=source.file, pictures=tmp_path, findings=PlacedFindings(findings, source.places)
    )
    assert len(table['annotations']) == 2 and table['annotations'][1]['bbox'][2] == pytest.approx(100)
    lines = '\n'.join(findings.summary())
    assert 'labels/train/a.txt line 2' in lines and 'labels/train/a.txt line 3' in lines


def test_pictures_without_objects_stay_and_labels_without_picture_are_told(tmp_path: Path) -> None:
    write_yolo(tmp_path, {'a.jpg': BOX, 'empty.JPG': '', 'none.jpg': None}, YAML)
    write_text(tmp_path / 'labels' / 'train' / 'orphan.txt', BOX)
    tables, findings = _read(tmp_path)
    assert len(tables['train'].table['images']) == 3
    assert findings.count(Action.DROPPED, 'labels without picture') == 1


@pytest.mark.parametrize(
    'yaml',
    [
        'path: /content/set\ntrain: images/train\nnames: {0: cat, 1: dog}\n',
        'train: ../images/train\nnames: {0: cat, 1: dog}\n',
        'train: /home/me/set/images/train\nnames: {0: cat, 1: dog}\n',
        'path: ../datasets\ntrain: [images/train]\nnames: {0: cat, 1: dog}\n',
    ],
)
def test_paths_of_another_machine(yaml: str, tmp_path: Path) -> None:
    write_yolo(tmp_path / 'set', {'a.jpg': BOX}, yaml)
    tables, _ = _read(tmp_path / 'set')
    assert len(tables['train'].table['annotations']) == 1


def test_paths_are_looked_up_from_the_root_too(tmp_path: Path) -> None:
    """``data.yaml`` and lists in folders of their own."""
    write_yolo(tmp_path, {'a.jpg': BOX, 'b.jpg': BOX})
    write_picture(tmp_path / 'images' / 'val' / 'a.jpg', seed=5)
    write_text(tmp_path / 'cfg' / 'data.yaml', 'path: /content/data\ntrain: images/train\nval: val.txt\nnames: [cat]\n')
    write_text(tmp_path / 'cfg' / 'val.txt', '/home/me/proj/images/val/a.jpg\n')
    tables, _ = _read(tmp_path)
    assert [row['file_name'] for row in tables['train'].table['images']] == ['images/train/a.jpg', 'images/train/b.jpg']
    assert [row['file_name'] for row in tables['val'].table['images']] == ['images/val/a.jpg']


def test_roboflows_paths_are_no_repair(tmp_path: Path) -> None:
    write_yolo(tmp_path, {'a.jpg': BOX}, 'train: ../images/train\nval: ../images/train\nnames: [cat]\n')
    assert _read(tmp_path)[1].count() == 0


def test_lists_of_which_nothing_is_there_say_why(tmp_path: Path) -> None:
    write_yolo(tmp_path, {'a.jpg': BOX}, 'train: train.txt\nval: train.txt\nnames: [cat]\n')
    write_text(tmp_path / 'train.txt', 'gone.jpg\n')
    with pytest.raises(
        UserError, match=r"(?s)names no pictures.*train.txt line 1: 'gone.jpg': no picture here ends so"
    ):
        _read(tmp_path)


def test_capitals_in_names_of_folders_and_files(tmp_path: Path) -> None:
    write_picture(tmp_path / 'Images' / 'A.JPG')
    write_text(tmp_path / 'Labels' / 'a.TXT', BOX)
    write_text(tmp_path / 'Labels' / 'classes.txt', 'cat\n')
    tables, findings = _read(tmp_path)
    assert len(tables['all'].table['annotations']) == 1 and findings.count() == 0


def test_many_pictures_without_objects_come_first(tmp_path: Path) -> None:
    write_yolo(tmp_path, {**{f'{number:03}.jpg': '' for number in range(55)}, 'z.jpg': BOX})
    write_text(tmp_path / 'classes.txt', 'cat\n')
    tables, _ = _read(tmp_path)
    assert len(tables['train'].table['images']) == 56


def test_pictures_outside_the_folder_are_refused(tmp_path: Path) -> None:
    write_picture(tmp_path / 'secret' / 'pictures' / 'a.jpg')
    write_yolo(tmp_path / 'set', {'a.jpg': BOX}, 'train: ../secret/pictures\nnames: [cat]\n')
    with pytest.raises(UserError, match=r"train is '../secret/pictures', which leads out of"):
        _read(tmp_path / 'set')
    write_text(tmp_path / 'set' / 'data.yaml', 'train: gone\nnames: [cat]\n')
    with pytest.raises(UserError, match=r"train is 'gone', and there is no such folder"):
        _read(tmp_path / 'set')


def test_a_list_of_pictures(tmp_path: Path) -> None:
    write_yolo(tmp_path, {'a.jpg': BOX, 'b.jpg': BOX}, 'train: train.txt\nnames: [cat]\n')
    write_text(tmp_path / 'train.txt', './images/train/a.jpg\n/home/me/b.jpg\n../../etc/passwd\n')
    tables, findings = _read(tmp_path)
    assert [row['file_name'] for row in tables['train'].table['images']] == ['images/train/a.jpg', 'images/train/b.jpg']
    assert findings.count(Action.REPAIRED, 'path of a picture') == 1
    assert findings.count(Action.DROPPED, 'picture not there') == 1


@pytest.mark.parametrize(
    'yaml',
    [
        'names: 3\ntrain: x\n',
        'names: {a: 1}\n',
        'names: [yes, no]\n',
        'names: [\n',
        '!!python/object/apply:os.system [ls]',
    ],
)
def test_yaml_that_means_nothing_is_refused_or_no_yolo(yaml: str, tmp_path: Path) -> None:
    write_yolo(tmp_path, {'a.jpg': BOX}, yaml)
    with pytest.raises(UserError, match=r'data\.yaml'):
        _read(tmp_path)


def test_without_data_yaml_classes_come_from_a_file_beside(tmp_path: Path) -> None:
    write_yolo(tmp_path, {'a.jpg': BOX})
    write_text(tmp_path / 'classes.txt', '\ufeffcat\ndog\n')
    found = find_yolo(list_tree(tmp_path), Findings())
    assert found is not None and found.classes == ['cat', 'dog'] and list(found.splits) == ['train']


def test_boxes_in_pixels_and_predictions_are_told(tmp_path: Path) -> None:
    write_yolo(tmp_path, {'a.jpg': '0 50 30 20 10\n0 0.5 0.5 0.2 0.2 0.9\n'}, YAML)
    tables, findings = _read(tmp_path)
    pixels, prediction = tables['train'].table['annotations']
    assert pixels['bbox'] == [40, 25, 20, 10] and prediction['bbox'] == pytest.approx([40, 24, 20, 12])
    assert findings.count(Action.REPAIRED, 'box in pixels') == findings.count(Action.DOUBTFUL, 'prediction') == 2


def test_class_names_must_be_utf8(tmp_path: Path) -> None:
    write_yolo(tmp_path, {'a.jpg': BOX}, YAML)
    (tmp_path / 'data.yaml').write_bytes(YAML.encode('latin-1'))
    with pytest.raises(UserError, match='no text in UTF-8'):
        _read(tmp_path)


def write_darknet(root: Path) -> None:
    """As CVAT's "YOLO 1.1" exports two subsets, whose pictures may have the same names."""
    for seed, (split, label) in enumerate({'train': BOX, 'valid': '1 0.5 0.5 0.2 0.2\n'}.items()):
        for name in ('frame_000000', 'with space'):
            write_picture(root / f'obj_{split}_data' / f'{name}.jpg', seed=seed)
            write_text(root / f'obj_{split}_data' / f'{name}.txt', label if name != 'with space' else '')
        lines = [f'data/obj_{split}_data/{name}.jpg' for name in ('frame_000000', 'with space')]
        write_text(root / f'{split}.txt', '\n'.join(lines))
    write_text(root / 'obj.names', 'cat\nlong name\n')
    write_text(
        root / 'obj.data',
        'classes = 2\ntrain = data/train.txt\nvalid = data/valid.txt\nnames = data/obj.names\nbackup = backup/\n',
    )


def test_darknets_lists_tell_the_splits_and_name_the_pictures(tmp_path: Path) -> None:
    write_darknet(tmp_path)
    tables, findings = _read(tmp_path)
    assert list(tables) == ['train', 'val'] and findings.count() == 0
    for split, category in (('train', 1), ('val', 2)):
        folder = 'obj_train_data' if split == 'train' else 'obj_valid_data'
        rows = tables[split].table
        assert [row['file_name'] for row in rows['images']] == [
            f'{folder}/frame_000000.jpg',
            f'{folder}/with space.jpg',
        ]
        assert [row['category_id'] for row in rows['annotations']] == [category]
    assert [row['name'] for row in tables['val'].table['categories']] == ['cat', 'long name']


@pytest.mark.parametrize('key', ['valid', 'names'])
def test_what_darknets_file_names_must_be_there(key: str, tmp_path: Path) -> None:
    write_darknet(tmp_path)
    (tmp_path / {'valid': 'valid.txt', 'names': 'obj.names'}[key]).unlink()
    with pytest.raises(UserError, match=rf"obj\.data: {key} is 'data/.*', and there is no such"):
        _read(tmp_path)


def test_a_list_does_not_guess_between_pictures_of_one_name(tmp_path: Path) -> None:
    write_darknet(tmp_path)
    write_text(tmp_path / 'valid.txt', 'elsewhere/frame_000000.jpg\nobj_valid_data/frame_000000.jpg\n' * 2)
    tables, findings = _read(tmp_path)
    assert [row['file_name'] for row in tables['val'].table['images']] == ['obj_valid_data/frame_000000.jpg']
    assert findings.count(Action.DROPPED, 'picture not there') == 2
    assert findings.count(Action.DROPPED, 'picture twice') == 1


@pytest.mark.parametrize('shape', [(2, 3), (3, 2)])
def test_key_points_are_no_polygon(shape: tuple[int, int], tmp_path: Path) -> None:
    points = ' 0.1' * (shape[0] * shape[1])
    write_yolo(
        tmp_path, {'a.jpg': f'0 0.5 0.5 0.2 0.4{points}\n1 0.25 0.5 0.1 0.1\n'}, f'{YAML}kpt_shape: {list(shape)}\n'
    )
    tables, findings = _read(tmp_path)
    rows = tables['train'].table['annotations']
    assert rows[0]['bbox'] == pytest.approx([40, 18, 20, 24]) and not rows[0]['segmentation'] and len(rows) == 2
    assert findings.kinds(Action.DROPPED) == {'key points': 1}


def test_a_shape_of_key_points_that_is_none_is_refused(tmp_path: Path) -> None:
    write_yolo(tmp_path, {'a.jpg': BOX}, f'{YAML}kpt_shape: 17\n')
    with pytest.raises(UserError, match=r'data\.yaml: kpt_shape must be \[points, 2 or 3\]; got 17'):
        _read(tmp_path)
