"""Annotation files spoilt at random: each becomes a canonical table or a UserError, and nothing else."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

from effformer_dense.data.border.coco import clean_coco
from effformer_dense.data.border.findings import Action, Findings
from effformer_dense.data.border.tables import read_table
from effformer_dense.errors import UserError

from .records import HEIGHT, RUNS, WIDTH, Table, make_pictures, table
from .spoiling import SETTINGS, spoilt


@pytest.fixture(scope='module')
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pictures(tmp_path_factory.mktemp('pictures'))


@SETTINGS
@given(given_table=spoilt(table), opened=st.booleans(), from_boxes=st.booleans())
def test_a_spoilt_table_becomes_canonical_or_is_refused(
    pictures: Path, given_table: Table, opened: bool, from_boxes: bool
) -> None:
    before = repr(given_table)
    folder = pictures if opened else None
    findings = Findings(io.TextIOWrapper(io.BytesIO(), encoding='utf-8'))
    try:
        cleaned = clean_coco(given_table, file='f', pictures=folder, findings=findings, masks_from_boxes=from_boxes)
    except UserError as error:
        assert str(error).startswith('f') or 'pictures' in str(error) or '/' in str(error)
        return
    finally:
        assert repr(given_table) == before
    check_canonical(cleaned)
    lost = len(given_table['annotations']) - len(cleaned['annotations'])
    told = sum(
        n for (action, kind), n in findings._counts.items() if action is Action.DROPPED and kind in ANNOTATION_KINDS
    )
    assert lost == told
    again = Findings()
    assert clean_coco(cleaned, file='f', pictures=folder, findings=again) == cleaned
    assert again.count(Action.REPAIRED) == again.count(Action.DROPPED) == 0, list(again.summary())


#: Findings that each stand for one annotation.
ANNOTATION_KINDS = (
    'annotation unreadable', 'no such picture', 'no such category', 'class not wanted', 'box not of numbers',
    'box outside', 'box under a pixel', 'object listed twice',
)  # fmt: skip


def check_canonical(cleaned: Table) -> None:
    """What the docstring of :func:`clean_coco` promises."""
    json.dumps(cleaned, allow_nan=False).encode()
    sizes = {row['id']: (row['width'], row['height']) for row in cleaned['images']}
    assert len(sizes) == len(cleaned['images']) == len({row['file_name'] for row in cleaned['images']})
    assert [row['id'] for row in cleaned['categories']] == list(range(1, len(cleaned['categories']) + 1))
    assert len({row['name'] for row in cleaned['categories']}) == len(cleaned['categories'])
    ids = [row['id'] for row in cleaned['annotations']]
    assert len(set(ids)) == len(ids) and all(type(one) is int and one > 0 for one in ids)
    assert any(row['iscrowd'] == 0 for row in cleaned['annotations'])
    for row in cleaned['annotations']:
        width, height = sizes[row['image_id']]
        x, y, wide, high = row['bbox']
        assert x >= 0 and y >= 0 and wide >= 1 and high >= 1
        assert x + wide <= width + 1e-6 and y + high <= height + 1e-6
        assert 1 <= row['category_id'] <= len(cleaned['categories'])
        assert row['area'] > 0 and row['iscrowd'] in (0, 1)
        check_mask(row['segmentation'], width, height)


def check_mask(mask: Any, width: int, height: int) -> None:
    if isinstance(mask, dict):
        assert mask['size'] == [height, width]
        runs = mask if isinstance(mask['counts'], str) else coco_mask.frPyObjects(mask, height, width)
        assert coco_mask.area(runs) > 0 and coco_mask.decode(runs).shape == (height, width)
        return
    for polygon in mask:
        assert len(polygon) >= 6 and len(polygon) % 2 == 0
        assert all(0 <= n <= side for n, side in zip(polygon, [width, height] * len(polygon), strict=False))
    assert not mask or coco_mask.area(coco_mask.merge(coco_mask.frPyObjects(mask, height, width))) > 0


@SETTINGS
@given(data=st.data())
def test_spoilt_bytes_are_read_or_refused(tmp_path: Path, data: st.DataObject) -> None:
    text = bytearray(json.dumps(table()).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        stop = data.draw(st.integers(start, min(len(text), start + 40)))
        filling = st.sampled_from(
            [b'NaN', b'[' * 100_000, b'9' * 5000, b'\xe4', b'"', b'\\ud800', b'1e999', b',', b'{"a":']
        )
        text[start:stop] = data.draw(st.binary(max_size=8) | filling)
    path = tmp_path / 'f.json'
    path.write_bytes(data.draw(st.sampled_from([b'', b'\xef\xbb\xbf', b'\xff\xfe'])) + text)
    try:
        cleaned = clean_coco(read_table(path), file=str(path), pictures=None, findings=Findings())
    except UserError as error:
        assert str(error).startswith(str(path))
    else:
        check_canonical(cleaned)


@SETTINGS
@given(counts=st.lists(st.integers(0, 4000), max_size=40) | st.text('0123456789:;<=>?@ABNOPQRnop', max_size=40))
def test_run_lengths_are_those_of_pycocotools_or_refused(counts: Any) -> None:
    if isinstance(counts, list) and sum(counts) <= WIDTH * HEIGHT:
        counts.append(WIDTH * HEIGHT - sum(counts))
    changed = table()
    changed['annotations'][1]['segmentation'] = {'size': [HEIGHT, WIDTH], 'counts': counts}
    cleaned = clean_coco(changed, file='f', pictures=None, findings=Findings())
    check_canonical(cleaned)
    assert cleaned['annotations'][0] == table()['annotations'][0]
    assert sum(RUNS) == WIDTH * HEIGHT
