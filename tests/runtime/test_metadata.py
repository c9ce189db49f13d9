"""What exported files say about themselves survives being written and read."""

from __future__ import annotations

import json

import pytest

from effformer_dense.errors import UserError
from effformer_dense.runtime.metadata import VERSION, Metadata, Resizing, from_json


def test_there_and_back():
    metadata = Metadata(
        task='detection',
        outputs=('boxes', 'labels', 'scores', 'masks'),
        classes=('cat', 'Straßenbahn'),
        palette=((1, 2, 3), (4, 5, 6)),
        numbers=(1, 2),
        size=(512, 640),
        resizing=Resizing((1333, 800)),
        mean=(123.675, 116.28, 103.53),
        std=(58.395, 57.12, 57.375),
        source={'config': 'a.py'},
        proof=({'picture': 'a.jpg', 'boxes': 1e-4},),
    )
    assert from_json(metadata.to_json(), 'x.onnx') == metadata


@pytest.mark.parametrize(
    ('text', 'what'),
    [
        ('', 'cannot be read'),
        ('[]', 'cannot be read'),
        ('{"version": 1}', 'cannot be read'),
        ('{}', 'cannot be read'),
        ('{"version": 1, "task": "features", "outputs": [], "classes": ["a"]}', 'cannot be read'),
    ],
)
def test_what_is_not_ours_is_said(text: str, what: str):
    with pytest.raises(UserError, match=rf'x\.onnx has metadata that {what}'):
        from_json(text, 'x.onnx')


def test_files_of_the_future():
    entries = {**json.loads(Metadata('features', ('stage1',)).to_json()), 'new': 1}
    assert from_json(json.dumps(entries), 'x').task == 'features'
    with pytest.raises(UserError, match='later version'):
        from_json(json.dumps({**entries, 'version': VERSION + 1}), 'x')


@pytest.mark.parametrize(
    ('scale', 'keep_ratio', 'picture', 'expected'),
    [
        ((1333, 800), True, (480, 640), (800, 1067)),
        ((800, 1333), True, (640, 480), (1067, 800)),
        ((2048, 512), True, (512, 683), (512, 683)),
        ((640, 480), False, (100, 100), (480, 640)),
        (None, True, (33, 517), (33, 517)),
    ],
)
def test_sizes_are_those_of_mmcv(scale, keep_ratio, picture, expected):
    assert Resizing(scale, keep_ratio).size(*picture) == expected
