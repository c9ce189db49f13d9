"""Files that are no annotations, and limits."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from effformer_dense.data.border.canonical import write_coco
from effformer_dense.data.border.findings import Action, Findings
from effformer_dense.data.border.tables import read_table
from effformer_dense.errors import UserError

from .records import clean, kinds, table

GOOD = json.dumps(table())

REFUSED = {
    'nothing': (b'', 'is no JSON'),
    'truncated': (GOOD[:-40].encode(), 'is no JSON'),
    'Latin-1': (GOOD.replace('cat"', 'k\xe4tzchen"').encode('latin-1'), 'no text in UTF-8'),
    'nested deeply': (b'{"images":' + b'[' * 200_000, 'nested too deeply'),
    'nested deeply, closed': (b'{"a":' * 100_000 + b'1' + b'}' * 100_000, 'nested too deeply'),
    'a number of 5,000 digits': (b'{"images":[' + b'7' * 5000 + b']}', 'thousands of digits'),
    'a number': (b'7', 'holds 7, and no COCO'),
    'results': (b'[{"image_id": 1, "score": 0.5}]', 'is a list'),
    'labelme': (b'{"shapes": [], "imagePath": "a.png"}', 'one picture of labelme'),
    'VIA project': (b'{"_via_img_metadata": {}}', 'project of VIA'),
    'captions': (b'{"images": [], "annotations": []}', 'no list categories'),
    'tables of another kind': (
        b'{"images": {}, "annotations": 1, "categories": null}',
        'no list images, annotations, cat',
    ),
}


@pytest.mark.parametrize('name', REFUSED)
def test_refused(tmp_path: Path, name: str) -> None:
    content, message = REFUSED[name]
    path = tmp_path / 'train.json'
    path.write_bytes(content)
    with pytest.raises(UserError, match=message) as caught:
        read_table(path)
    assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize('encoding', ['utf-8-sig', 'utf-16', 'utf-32'])
def test_byte_order_marks_are_read_and_told(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / 'train.json'
    path.write_text(GOOD.replace('"cat"', '"Kätzchen"'), encoding=encoding)
    findings = Findings()
    assert read_table(path, findings)['categories'][0]['name'] == 'Kätzchen'
    assert kinds(findings, Action.REPAIRED) == {'byte order mark': 1}


def test_not_a_number_is_read_and_is_for_the_records_to_judge(tmp_path: Path) -> None:
    """Python writes NaN and Infinity, so tools do."""
    path = tmp_path / 'train.json'
    path.write_text(GOOD.replace('240', 'NaN').replace('600', '-Infinity').replace(' 60,', ' 1e999,'))
    cleaned, findings = clean(read_table(path), None)
    assert [row['area'] for row in cleaned['annotations']] == [240, 60, 600]
    assert kinds(findings, Action.REPAIRED) == {'no area': 3}


def test_large_and_missing_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / 'train.json'
    with pytest.raises(UserError, match='cannot be read'):
        read_table(path)
    path.write_text(GOOD)
    with pytest.raises(UserError, match='files of up to 100 are read'):
        read_table(path, max_bytes=100)


def test_a_written_table_is_read_as_it_was(tmp_path: Path) -> None:
    cleaned, _ = clean(table(), None)
    cleaned['categories'][0]['name'] = 'Kätzchen "🐈"'
    told: list[tuple[str, int, int]] = []
    write_coco(tmp_path / 'out' / 'train.json', cleaned, lambda *step: told.append(step))
    assert ('annotations written', 0, len(cleaned['annotations'])) in told
    findings = Findings()
    assert read_table(tmp_path / 'out' / 'train.json', findings) == cleaned
    assert findings.count() == 0 and [path.name for path in (tmp_path / 'out').iterdir()] == ['train.json']


def test_no_number_that_json_lacks_is_written(tmp_path: Path) -> None:
    broken = {**table(), 'images': [{'id': float('nan')}]}
    with pytest.raises(ValueError, match='JSON compliant'):
        write_coco(tmp_path / 'train.json', broken)
    assert not list(tmp_path.iterdir())
