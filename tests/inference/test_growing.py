"""Lists and texts that do not fit into memory."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from effformer_dense.inference import growing
from effformer_dense.inference.growing import GrowingList, GrowingText, write_pieces


@pytest.mark.parametrize('length', [0, 1, 1000])
def test_a_list_that_has_grown_is_the_list(length: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growing, '_IN_MEMORY', 100)
    values = [{'id': number, 'name': 'ünï "çode"', 'bbox': [0.5, number]} for number in range(length)]
    grown = GrowingList(tmp_path / 'not' / 'there')
    for value in values:
        grown.append(value)
    assert grown.file._rolled is (length == 1000), 'it left the memory'
    assert not any(tmp_path.iterdir()), 'it has no name before it is whole'
    write_pieces(tmp_path / 'not' / 'there' / 'list.json', '{"rows": ', grown, '}')
    assert [path.name for path in (tmp_path / 'not' / 'there').iterdir()] == ['list.json']
    assert (tmp_path / 'not' / 'there' / 'list.json').read_text() == json.dumps({'rows': values})


def test_a_table_keeps_its_line_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growing, '_IN_MEMORY', 10)
    text = GrowingText(tmp_path)
    csv.writer(text.file).writerows([['a', 'b\nc'], ['ü', 1]])
    write_pieces(tmp_path / 'table.csv', text)
    assert (tmp_path / 'table.csv').read_bytes() == 'a,"b\nc"\r\nü,1\r\n'.encode()
