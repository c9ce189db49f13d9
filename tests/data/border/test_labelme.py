"""labelme's files as people have them: each shape is an object, or told."""

from __future__ import annotations

import base64
import io
import json
from math import pi
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from effformer_dense.data.border.coco import clean_coco
from effformer_dense.data.border.findings import Action, Findings
from effformer_dense.data.border.formats.labelme import find_labelme, labelme_tables
from effformer_dense.data.border.formats.places import SourceTable
from effformer_dense.data.border.tree import list_tree

from .folders import objects_of, write_picture, write_text

TRIANGLE = [[10, 10], [30, 10], [30, 30]]


def _shape(label: str, points: list[list[Any]], kind: str | None = 'polygon', **fields: Any) -> dict[str, Any]:
    return {'label': label, 'points': points, 'shape_type': kind, 'group_id': None, 'flags': {}, **fields}


def _write(root: Path, name: str, shapes: list[Any], **fields: Any) -> None:
    write_picture(root / f'{name}.jpg')
    content = dict(version='5.5.0', flags={'night': True}, shapes=shapes, imagePath=f'{Path(name).name}.jpg')
    content |= dict(imageData='not base64', imageHeight=60, imageWidth=100)
    write_text(root / f'{name}.json', json.dumps({**content, **fields}))


def _read(root: Path, classes: list[str] | None = None) -> tuple[dict[str, SourceTable], Findings]:
    tree, findings = list_tree(root), Findings()
    found = find_labelme(tree.below('', ('.json',)))
    assert found is not None
    return labelme_tables(tree, found, classes, findings), findings


def _only(root: Path) -> dict[str, Any]:
    tables, findings = _read(root)
    assert findings.count() == 0, list(findings.summary())
    (row,) = objects_of(tables['all'])
    return row


def test_a_polygon(tmp_path: Path) -> None:
    _write(tmp_path, 'a', [_shape('nut', TRIANGLE)])
    row = _only(tmp_path)
    assert (row['category'], row['bbox'], row['area']) == ('nut', [10, 10, 20, 20], 200)
    assert row['segmentation'] == [[10, 10, 30, 10, 30, 30]]


@pytest.mark.parametrize('points', [[[30, 40], [10, 20]], [[10, 20], [30, 20], [30, 40], [10, 40]]])
def test_a_rectangle_has_a_box_and_no_mask(points: list[list[int]], tmp_path: Path) -> None:
    _write(tmp_path, 'a', [_shape('nut', points, 'rectangle')])
    row = _only(tmp_path)
    assert (row['bbox'], row['area'], row['segmentation']) == ([10, 20, 20, 20], 400, [])


def test_a_circle_is_told_by_its_centre_and_a_point_of_its_rim(tmp_path: Path) -> None:
    _write(tmp_path, 'a', [_shape('nut', [[50, 30], [53, 34]], 'circle')])
    row = _only(tmp_path)
    assert row['bbox'] == pytest.approx([45, 25, 10, 10]) and row['area'] == pytest.approx(25 * pi, rel=0.003)


def test_a_mask_is_a_png_at_its_first_corner(tmp_path: Path) -> None:
    part = np.zeros((3, 4), bool)
    part[0, 1] = part[2, 3] = part[1, 0] = True
    buffer = io.BytesIO()
    Image.fromarray(part.astype(np.uint8) * 255).save(buffer, format='PNG')
    text = base64.b64encode(buffer.getvalue()).decode()
    _write(tmp_path, 'a', [_shape('nut', [[96, 57], [99, 59]], 'mask', mask=text)])
    row = _only(tmp_path)
    assert row['area'] == 3 and row['bbox'] == [96, 57, 4, 3]
    decoded = coco_mask.decode(coco_mask.frPyObjects(row['segmentation'], 60, 100))
    assert np.array_equal(decoded[57:, 96:], part) and decoded.sum() == 3


def test_shapes_of_one_group_are_one_object(tmp_path: Path) -> None:
    other = [[50, 10], [60, 10], [60, 20]]
    shapes = [_shape('nut', TRIANGLE, group_id=1), _shape('nut', other, group_id=1), _shape('bolt', other, group_id=1)]
    _write(tmp_path, 'a', [*shapes, _shape('nut', other)])
    tables, findings = _read(tmp_path)
    rows = objects_of(tables['all'])
    assert findings.count() == 0 and [row['category'] for row in rows] == ['nut', 'bolt', 'nut']
    assert len(rows[0]['segmentation']) == 2 and rows[0]['bbox'] == [10, 10, 50, 20] and rows[0]['area'] == 250
    assert tables['all'].places[0] == ('a.json', 'shapes 1, 2')


@pytest.mark.parametrize(
    ('shape', 'kind'),
    [
        (_shape('nut', [[1, 1], [5, 5]], 'line'), 'shape without area'),
        (_shape('nut', TRIANGLE, 'linestrip'), 'shape without area'),
        (_shape('nut', [[1, 1]], 'point'), 'shape without area'),
        (_shape('nut', [[1, 1], [5, 5]]), 'shape unreadable'),
        (_shape('nut', [['x', 1], [5, 5], [7, 8]]), 'shape unreadable'),
        (_shape('nut', [[0, 0], [5, 5]], 'mask', mask='no PNG'), 'shape unreadable'),
        (_shape('nut', [[0, 0], [5, 5]], 'mask'), 'shape unreadable'),
        (_shape('', TRIANGLE), 'unknown class'),
        ('no shape', 'unknown class'),
    ],
)
def test_a_shape_that_is_no_object_is_told(shape: Any, kind: str, tmp_path: Path) -> None:
    _write(tmp_path, 'a', [_shape('nut', TRIANGLE), shape])
    tables, findings = _read(tmp_path)
    assert len(tables['all'].table['annotations']) == 1 and findings.count(Action.DROPPED, kind) == 1
    assert 'a.json shape 2' in next(findings.summary())


@pytest.mark.parametrize('path', ['../images/a.jpg', '..\\images\\a.jpg', 'images/a.jpg'])
def test_pictures_in_another_folder(path: str, tmp_path: Path) -> None:
    _write(tmp_path / 'labels', 'a', [_shape('nut', TRIANGLE)], imagePath=path)
    (tmp_path / 'images').mkdir()
    (tmp_path / 'labels' / 'a.jpg').rename(tmp_path / 'images' / 'a.jpg')
    tables, findings = _read(tmp_path)
    assert [row['file_name'] for row in tables['all'].table['images']] == ['images/a.jpg'] and findings.count() == 0


def test_paths_of_another_machine(tmp_path: Path) -> None:
    _write(tmp_path, 'a', [_shape('nut', TRIANGLE)], imagePath='C:\\me\\A.JPG')
    _write(tmp_path, 'b', [_shape('nut', TRIANGLE)], imagePath='../../etc/b.jpg')
    _write(tmp_path, 'c', [_shape('nut', TRIANGLE)], imagePath='/gone/x.jpg')
    (tmp_path / 'c.jpg').unlink()
    tables, findings = _read(tmp_path)
    assert [row['file_name'] for row in tables['all'].table['images']] == ['a.jpg', 'b.jpg']
    assert findings.count(Action.REPAIRED, 'picture name') == 2
    assert findings.count(Action.DROPPED, 'picture not there') == 1


def test_splits_by_folder_files_that_cannot_be_read_and_pictures_without_one(tmp_path: Path) -> None:
    _write(tmp_path / 'train', 'a', [_shape('nut', TRIANGLE)])
    _write(tmp_path / 'val', 'b', [_shape('nut', TRIANGLE)])
    write_text(tmp_path / 'train' / 'c.json', '{"shapes": [')
    write_picture(tmp_path / 'train' / 'd.jpg')
    tables, findings = _read(tmp_path)
    assert {split: len(source.table['images']) for split, source in tables.items()} == {'train': 1, 'val': 1}
    assert findings.kinds(Action.DROPPED) == {'file unreadable': 1, 'picture without file': 1}


def test_a_size_that_is_not_the_picture_s_is_refused_at_the_border(tmp_path: Path) -> None:
    from effformer_dense.errors import UserError

    _write(tmp_path, 'a', [_shape('nut', TRIANGLE)], imageWidth=10**9)
    tables, findings = _read(tmp_path)
    with pytest.raises(UserError, match=r'1000000000 x 60 px in the file, 100 x 60 px decoded'):
        clean_coco(tables['all'].table, file='labelme', pictures=tmp_path, findings=findings)
