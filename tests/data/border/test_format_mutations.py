"""YOLO, Pascal VOC, labelme and VIA spoilt at random: a clean table or a UserError, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from effformer_dense.data.border.coco import clean_coco
from effformer_dense.data.border.findings import Findings
from effformer_dense.data.border.formats.labelme import LabelmeSet, labelme_tables
from effformer_dense.data.border.formats.places import PlacedFindings, SourceTable
from effformer_dense.data.border.formats.via import ViaSet, via_tables
from effformer_dense.data.border.formats.voc import find_voc, voc_tables
from effformer_dense.data.border.formats.yolo import yolo_tables
from effformer_dense.data.border.formats.yolo_layout import find_yolo
from effformer_dense.data.border.tree import Tree, list_tree
from effformer_dense.errors import UserError

from .folders import write_picture
from .spoiling import SETTINGS, spoilt

_NUMBER = st.one_of(
    st.floats(-0.5, 1.5).map(str),
    st.sampled_from(
        ['0', '1', '2', '-1', 'nan', 'inf', '-inf', '1e400', '1e-400', '50', '0x1', '1_0', '', '\u0661', '9' * 500]
    ),
)
_LINES = st.lists(st.lists(_NUMBER, max_size=12).map(' '.join), max_size=6).map('\n'.join)
_LABELS = st.one_of(_LINES.map(str.encode), st.binary(max_size=80))
_ELEMENT = st.sampled_from(
    ['xmin', 'ymin', 'xmax', 'ymax', 'name', 'bndbox', 'object', 'size', 'width', 'filename', 'x']
)


def _check(tree: Tree, tables: dict[str, SourceTable], findings: Findings) -> None:
    """Tables cross the border, and every box lies in its picture."""
    for source in tables.values():
        placed = PlacedFindings(findings, source.places)
        table = clean_coco(source.table, file=source.file, pictures=tree.root, findings=placed)
        assert len(table['annotations']) <= len(source.places)
        for row in table['annotations']:
            x, y, width, height = row['bbox']
            assert x >= 0 and y >= 0 and width >= 1 and height >= 1 and x + width <= 40.01 and y + height <= 32.01


@SETTINGS
@given(labels=_LABELS, names=st.one_of(st.just('[cat, dog]'), st.text(max_size=20)))
def test_yolo(labels: bytes, names: str) -> None:
    with TemporaryDirectory() as folder:
        root = Path(folder)
        write_picture(root / 'images' / 'a.png', 40, 32)
        (root / 'labels').mkdir()
        (root / 'labels' / 'a.txt').write_bytes(b'0 0.5 0.5 0.5 0.5\n' + labels)
        (root / 'data.yaml').write_text(f'train: images\nnames: {names}\n', encoding='utf-8', errors='ignore')
        findings = Findings()
        try:
            tree = list_tree(root)
            found = find_yolo(tree, findings)
            if found is not None and found.classes:
                _check(tree, yolo_tables(tree, found, found.classes, findings), findings)
        except UserError:
            pass


@st.composite
def _xml(draw: st.DrawFn, depth: int = 3) -> str:
    tag = draw(_ELEMENT)
    inner = (
        draw(_NUMBER)
        if depth == 0 or draw(st.booleans())
        else ''.join(draw(st.lists(_xml(depth=depth - 1), max_size=4)))
    )
    return f'<{tag}>{inner}</{tag}>'


@SETTINGS
@given(content=st.one_of(st.lists(_xml(), max_size=4).map(''.join), st.text(max_size=40)), cut=st.integers(0, 60))
def test_voc(content: str, cut: int) -> None:
    with TemporaryDirectory() as folder:
        root = Path(folder)
        write_picture(root / 'a.png', 40, 32)
        good = (
            '<object><name>cat</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></object>'
        )
        text = f'<annotation>{good}{content}</annotation>'
        (root / 'a.xml').write_text(text[: len(text) - cut if cut > 40 else None], encoding='utf-8', errors='ignore')
        findings = Findings()
        try:
            tree = list_tree(root)
            found = find_voc(tree, findings)
            if found is not None:
                _check(tree, voc_tables(tree, found, None, findings), findings)
        except UserError:
            pass


_TRIANGLE = [[1, 1], [20, 1], [20, 20.5]]
#: A PNG of 3 x 2 px, as labelme writes masks.
_PNG = 'iVBORw0KGgoAAAANSUhEUgAAAAMAAAACCAAAAAC4HznGAAAAEElEQVR4nGP4z/CfkeE/AwAN/gL/2gnM3gAAAABJRU5ErkJggg=='


def _labelme() -> dict[str, Any]:
    kinds = ('polygon', 'rectangle', 'circle', 'line', 'mask')
    shapes = [
        dict(label='cat', points=_TRIANGLE[: 3 if kind == 'polygon' else 2], group_id=None, shape_type=kind, flags={})
        for kind in kinds
    ]
    shapes[-1]['mask'] = _PNG
    shapes.append(dict(label='cat', points=_TRIANGLE, group_id=1, shape_type='polygon'))
    shapes.append(dict(label='cat', points=_TRIANGLE, group_id=1, shape_type=None))
    return dict(shapes=shapes, imagePath='a.png', imageData=None, imageHeight=32, imageWidth=40, flags={})


def _via() -> dict[str, Any]:
    shapes: list[dict[str, Any]] = [
        dict(name='rect', x=1, y=2, width=10, height=10),
        dict(name='polygon', all_points_x=[1, 20, 20], all_points_y=[1, 1, 20.5]),
        dict(name='ellipse', cx=20, cy=16, rx=8, ry=4, theta=0.5),
        dict(name='circle', cx=20, cy=16, r=8),
    ]
    regions = [dict(shape_attributes=shape, region_attributes={'type': 'cat', 'seen': {'a': True}}) for shape in shapes]
    regions[0]['region_attributes'] = {'type': 'cat'}
    picture = dict(filename='a.png', size=1, regions=regions, file_attributes={})
    return {'_via_img_metadata': {'a.png1': picture}, '_via_attributes': {}}


@SETTINGS
@given(content=spoilt(_labelme))
def test_labelme(content: Any) -> None:
    with TemporaryDirectory() as folder:
        root = Path(folder)
        write_picture(root / 'a.png', 40, 32)
        (root / 'a.json').write_text(json.dumps(content), encoding='utf-8')
        findings = Findings()
        try:
            tree = list_tree(root)
            _check(tree, labelme_tables(tree, LabelmeSet({'all': ['a.json']}), None, findings), findings)
        except UserError:
            pass


@SETTINGS
@given(content=spoilt(_via))
def test_via(content: Any) -> None:
    with TemporaryDirectory() as folder:
        root = Path(folder)
        write_picture(root / 'a.png', 40, 32)
        (root / 'via.json').write_text(json.dumps(content), encoding='utf-8')
        findings = Findings()
        try:
            tree = list_tree(root)
            _check(tree, via_tables(tree, ViaSet({'all': 'via.json'}), None, findings), findings)
        except UserError:
            pass
