"""Projects and exports of VIA: each region is an object, or told."""

from __future__ import annotations

import json
from math import pi
from pathlib import Path
from typing import Any

import pytest

from effformer_dense.data.border.findings import Action, Findings
from effformer_dense.data.border.formats.places import SourceTable
from effformer_dense.data.border.formats.via import ViaSet, via_tables
from effformer_dense.data.border.tree import list_tree
from effformer_dense.errors import UserError

from .folders import objects_of, write_picture, write_text

RECT = {'name': 'rect', 'x': 10, 'y': 20, 'width': 30, 'height': 15}
TRIANGLE = {'name': 'polygon', 'all_points_x': [10, 30, 30], 'all_points_y': [10, 10, 30]}


def _region(shape: dict[str, Any], **attributes: Any) -> dict[str, Any]:
    return {'shape_attributes': shape, 'region_attributes': attributes}


def _write(root: Path, regions: Any, name: str = 'a.jpg', project: bool = True) -> None:
    write_picture(root / 'a.jpg')
    table: dict[str, Any] = {f'{name}1234': dict(filename=name, size=1234, regions=regions, file_attributes={})}
    if project:
        table = {'_via_settings': {}, '_via_img_metadata': table, '_via_attributes': {'region': {}, 'file': {}}}
    write_text(root / 'via.json', json.dumps(table))


def _read(root: Path, classes: list[str] | None = None) -> tuple[SourceTable, Findings]:
    findings = Findings()
    return via_tables(list_tree(root), ViaSet({'all': 'via.json'}), classes, findings)['all'], findings


@pytest.mark.parametrize('project', [True, False])
@pytest.mark.parametrize('version', [1, 2])
def test_projects_and_exports(project: bool, version: int, tmp_path: Path) -> None:
    regions = [_region(RECT, type='nut'), _region(TRIANGLE, type='bolt')]
    _write(tmp_path, regions if version == 2 else dict(enumerate(regions)), project=project)
    source, findings = _read(tmp_path)
    assert findings.count() == 0
    assert source.table['images'] == [{'id': 1, 'file_name': 'a.jpg', 'width': 100, 'height': 60}]
    assert [row['name'] for row in source.table['categories']] == ['bolt', 'nut']
    assert [(row['category'], row['bbox'], row['area']) for row in objects_of(source)] == [
        ('nut', [10, 20, 30, 15], 450),
        ('bolt', [10, 10, 20, 20], 200),
    ]
    assert [row['segmentation'] for row in objects_of(source)] == [[], [[10, 10, 30, 10, 30, 30]]]


@pytest.mark.parametrize(
    ('shape', 'box', 'area'),
    [
        ({'name': 'circle', 'cx': 50, 'cy': 30, 'r': 5}, [45, 25, 10, 10], 25 * pi),
        ({'name': 'ellipse', 'cx': 50, 'cy': 30, 'rx': 20, 'ry': 10}, [30, 20, 40, 20], 200 * pi),
        ({'name': 'ellipse', 'cx': 50, 'cy': 30, 'rx': 20, 'ry': 10, 'theta': pi / 2}, [40, 10, 20, 40], 200 * pi),
    ],
)
def test_circles_and_ellipses(shape: dict[str, Any], box: list[float], area: float, tmp_path: Path) -> None:
    _write(tmp_path, [_region(shape, type='nut')])
    (row,) = _read(tmp_path)[0].table['annotations']
    assert row['bbox'] == pytest.approx(box) and row['area'] == pytest.approx(area, rel=0.003)


def test_an_ellipse_turns_clockwise(tmp_path: Path) -> None:
    shape = {'name': 'ellipse', 'cx': 50, 'cy': 30, 'rx': 20, 'ry': 1, 'theta': pi / 4}
    _write(tmp_path, [_region(shape, type='nut')])
    (row,) = _read(tmp_path)[0].table['annotations']
    assert row['segmentation'][0][:2] == pytest.approx([64.14, 44.14], abs=0.01), 'down to the right'


@pytest.mark.parametrize(
    ('shape', 'attributes', 'kind'),
    [
        ({'name': 'point', 'cx': 1, 'cy': 1}, {'type': 'nut'}, 'region without area'),
        ({'name': 'rect', 'x': 'a', 'y': 1, 'width': 3, 'height': 3}, {'type': 'nut'}, 'region without area'),
        ({**TRIANGLE, 'all_points_x': [1]}, {'type': 'nut'}, 'region without area'),
        ({}, {'type': 'nut'}, 'region without area'),
        (RECT, {}, 'unknown class'),
        (RECT, {'type': ''}, 'unknown class'),
        (RECT, {'type': {'nut': True, 'bolt': True}}, 'unknown class'),
    ],
)
def test_a_region_that_is_no_object_is_told(
    shape: dict[str, Any], attributes: dict[str, Any], kind: str, tmp_path: Path
) -> None:
    _write(tmp_path, [_region(RECT, type={'nut': True, 'bolt': False}), _region(shape, **attributes)])
    source, findings = _read(tmp_path)
    assert [row['category'] for row in objects_of(source)] == ['nut']
    assert findings.count(Action.DROPPED, kind) == findings.count() == 1
    assert "'a.jpg', region 2" in next(findings.summary())


def test_a_polyline_is_an_outline_and_doubtful(tmp_path: Path) -> None:
    _write(tmp_path, [_region({**TRIANGLE, 'name': 'polyline'}, type='nut')])
    source, findings = _read(tmp_path)
    assert source.table['annotations'][0]['area'] == 200 and findings.kinds(Action.DOUBTFUL) == {'polyline': 1}


def test_the_attribute_that_all_regions_have_names_the_class(tmp_path: Path) -> None:
    _write(tmp_path, [_region(RECT, note='old', type='nut'), _region(TRIANGLE, note='', type='bolt')])
    assert [row['category'] for row in objects_of(_read(tmp_path)[0])] == ['nut', 'bolt']
    _write(tmp_path, [_region(RECT, note='old', type='nut')])
    with pytest.raises(UserError, match=r'regions have the attributes note, type.*Leave that one'):
        _read(tmp_path)


def test_regions_without_attributes_are_of_the_only_class(tmp_path: Path) -> None:
    _write(tmp_path, [_region(RECT)])
    with pytest.raises(UserError, match='--classes NAME'):
        _read(tmp_path)
    assert objects_of(_read(tmp_path, ['nut'])[0])[0]['category'] == 'nut'


@pytest.mark.parametrize(
    ('name', 'kind'),
    [
        ('https://example.org/x/a.jpg?size=large', 'picture name'),
        ('C:\\me\\a.jpg', 'picture name'),
        ('b.jpg', 'picture not there'),
    ],
)
def test_names_of_pictures(name: str, kind: str, tmp_path: Path) -> None:
    _write(tmp_path, [_region(RECT, type='nut')], name)
    source, findings = _read(tmp_path)
    assert list(findings.kinds(Action.DROPPED)) + list(findings.kinds(Action.REPAIRED)) == [kind]
    assert [row['file_name'] for row in source.table['images']] == ['a.jpg'] * (kind == 'picture name')


@pytest.mark.parametrize('content', ['[]', '{}', '{"_via_img_metadata": []}', '{"a": {"filename": 3}}', '{"a": 3}'])
def test_files_that_name_no_pictures(content: str, tmp_path: Path) -> None:
    write_text(tmp_path / 'via.json', content)
    with pytest.raises(UserError, match='names no pictures'):
        _read(tmp_path)
