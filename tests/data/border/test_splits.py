"""Splits: seeded, stratified, near duplicates on one side."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from effformer_dense.data.border.findings import Action, Findings
from effformer_dense.data.border.splits import check_splits, split_pictures
from effformer_dense.errors import UserError

from .folders import write_picture


@pytest.fixture
def pictures(tmp_path: Path) -> list[str]:
    """Forty pictures that look different."""
    names = [f'{number:02}.png' for number in range(40)]
    for number, name in enumerate(names):
        write_picture(tmp_path / name, seed=number)
    return names


def test_seeded_and_complete(pictures: list[str], tmp_path: Path) -> None:
    labels = [{number % 2} for number in range(40)]
    train, val = split_pictures(pictures, labels, tmp_path, Findings(), 0.25, seed=1)
    assert sorted(train + val) == list(range(40)) and len(val) == 10
    assert split_pictures(pictures, labels, tmp_path, Findings(), 0.25, seed=1) == (train, val)
    assert split_pictures(pictures, labels, tmp_path, Findings(), 0.25, seed=2) != (train, val)


def test_each_class_has_its_share_on_both_sides(pictures: list[str], tmp_path: Path) -> None:
    labels = [{0} | ({1} if number < 20 else set()) | ({2} if number % 8 == 0 else set()) for number in range(40)]
    labels[3] = set()  # shows nothing
    for seed in range(10):
        _, val = split_pictures(pictures, labels, tmp_path, Findings(), 0.2, seed)
        counts = [sum(label in labels[position] for position in val) for label in range(3)]
        assert counts[2] == 1 and 3 <= counts[1] <= 5 and 7 <= counts[0] <= 9, (seed, counts)


def test_near_duplicates_stay_together(pictures: list[str], tmp_path: Path) -> None:
    for name in pictures[:20]:
        image = Image.open(tmp_path / name)
        brighter = np.clip(np.asarray(image).astype(int) + 6, 0, 255).astype(np.uint8)
        Image.fromarray(brighter).resize((90, 54)).save(tmp_path / f'copy_{name}')
    names = [*pictures, *(f'copy_{name}' for name in pictures[:20])]
    findings = Findings()
    train, val = split_pictures(names, [{0}] * 60, tmp_path, findings, 0.3)
    assert findings.count(Action.DOUBTFUL, 'nearly the same pictures') == 20
    for number in range(20):
        assert (number in val) == (40 + number in val)
    assert len(train) + len(val) == 60


def test_many_copies_are_one_group_and_pillow_s_limit_stays(pictures: list[str], tmp_path: Path) -> None:
    for number in range(60):
        shutil.copy(tmp_path / pictures[0], tmp_path / f'copy_{number:02}.png')
    (tmp_path / 'broken.png').write_bytes(b'no picture')
    names = [*pictures, *(f'copy_{number:02}.png' for number in range(60)), 'broken.png']
    limit, findings, told = Image.MAX_IMAGE_PIXELS, Findings(), []
    _, val = split_pictures(names, [{0}] * 101, tmp_path, findings, 0.3, progress=lambda *step: told.append(step))
    assert Image.MAX_IMAGE_PIXELS == limit
    assert 0 not in val and not any(40 <= position < 100 for position in val)
    assert findings.count(Action.DOUBTFUL, 'nearly the same pictures') == 1
    assert told[-1] == ('pictures compared', 100, 101)


def test_pictures_that_all_look_alike_are_split_all_the_same(tmp_path: Path) -> None:
    names = [f'{number}.png' for number in range(10)]
    for name in names:
        write_picture(tmp_path / name)
    findings = Findings()
    train, val = split_pictures(names, [{0}] * 10, tmp_path, findings)
    assert (len(train), len(val)) == (8, 2) and findings.count(Action.DOUBTFUL, 'pictures all alike') == 1


def test_two_pictures_are_enough_and_one_is_not(pictures: list[str], tmp_path: Path) -> None:
    assert [len(side) for side in split_pictures(pictures[:2], [{0}, {0}], tmp_path, Findings())] == [1, 1]
    with pytest.raises(UserError, match='1 picture'):
        split_pictures(pictures[:1], [{0}], tmp_path, Findings())
    with pytest.raises(UserError, match=r'--val-fraction 1.5'):
        split_pictures(pictures, [{0}] * 40, tmp_path, Findings(), 1.5)


def test_validation_shows_something_where_most_pictures_are_empty(pictures: list[str], tmp_path: Path) -> None:
    labels = [{0}, {0}, *[set()] * 38]
    for seed in range(5):
        train, val = split_pictures(pictures, labels, tmp_path, Findings(), 0.2, seed)
        assert any(labels[position] for position in train) and any(labels[position] for position in val)


def test_pictures_in_two_splits(pictures: list[str], tmp_path: Path) -> None:
    shutil.copy(tmp_path / '00.png', tmp_path / 'other_name.png')
    findings = Findings()
    check_splits({'train': pictures[:20], 'val': [*pictures[20:], 'other_name.png']}, tmp_path, findings)
    assert list(findings.summary()) == [
        '1 doubtful, picture in two splits: other_name.png val: the same picture as 00.png, which is in train'
    ]
