"""Scores against counting by hand and against mmseg."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from effformer_dense.segmentation.report import score_table, write_scores
from effformer_dense.segmentation.scores import PixelCounts, Scores

CLASSES = ('wall', 'sky', 'tree', 'car')


def _scores(pairs: list[tuple[np.ndarray, np.ndarray]], classes: tuple[str, ...] = CLASSES) -> Scores:
    counts = [PixelCounts.of_picture(*pair, len(classes)) for pair in pairs]
    return Scores(classes, range(1, len(classes) + 1), PixelCounts.total(counts, len(classes)), len(pairs))


def _random_pairs(seed: int, count: int = 4) -> list[tuple[np.ndarray, np.ndarray]]:
    """Pictures of classes 0 to 2 with unlabelled pixels; prediction and annotation agree in about half of them."""
    rng = np.random.default_rng(seed)
    pairs = []
    for _ in range(count):
        annotation = rng.choice([0, 1, 2, 255], size=(31, 17))
        prediction = np.where(rng.random((31, 17)) < 0.5, annotation, rng.integers(0, 3, (31, 17)))
        pairs.append((np.where(prediction == 255, 0, prediction), annotation))
    return pairs


def test_by_hand() -> None:
    annotation = np.array([[0, 0, 0, 1], [1, 1, 255, 255]])
    prediction = np.array([[0, 0, 1, 1], [1, 2, 2, 0]])
    scores = _scores([(prediction, annotation)])
    # wall: 2 of 3, sky: 2 right, 1 too many, 1 missed; tree: only predicted; car: nowhere.
    assert scores.iou[:3].tolist() == [2 / 3, 2 / 4, 0] and math.isnan(scores.iou[3])
    assert scores.accuracy[:2].tolist() == [2 / 3, 2 / 3] and np.isnan(scores.accuracy[2:]).all()
    assert scores.num_left_out == 1
    summary = scores.summary()
    assert summary['mIoU'] == pytest.approx((2 / 3 + 1 / 2) / 3, abs=1e-15)
    assert summary['mAcc'] == pytest.approx(2 / 3, abs=1e-15) and summary['aAcc'] == pytest.approx(4 / 6, abs=1e-15)


def test_union_is_over_the_set_and_not_a_mean_over_pictures() -> None:
    big = (np.zeros((10, 10), int), np.zeros((10, 10), int))
    small = (np.zeros((1, 1), int), np.ones((1, 1), int))
    assert _scores([big, small]).iou[0] == 100 / 101


@pytest.mark.parametrize('seed', range(3))
def test_equals_mmseg(seed: int) -> None:
    metric = pytest.importorskip('mmseg.evaluation').IoUMetric
    pairs = _random_pairs(seed)
    areas = [metric.intersect_and_union(torch.tensor(p), torch.tensor(a), len(CLASSES), 255) for p, a in pairs]
    sums = [sum(column) for column in zip(*areas, strict=True)]
    theirs = metric.total_area_to_metrics(*sums, metrics=['mIoU'])
    ours = _scores(pairs)
    np.testing.assert_allclose(ours.iou, theirs['IoU'], atol=1e-6)
    np.testing.assert_allclose(ours.accuracy, theirs['Acc'], atol=1e-6)
    assert ours.summary()['aAcc'] == pytest.approx(float(theirs['aAcc']), abs=1e-6)
    assert ours.num_left_out == 1


def test_many_pixels_are_counted_exactly() -> None:
    """Past 2**24, float32 sums would lose the last pixel."""
    one = PixelCounts(*(np.array([2**24 + 1]) for _ in range(3)))
    assert PixelCounts.total([one] * 3, 1).correct[0] == 3 * (2**24 + 1)


def test_nothing_annotated_is_no_score() -> None:
    empty = np.full((4, 4), 255)
    with pytest.raises(ValueError, match='None of the 1 annotations has a labelled pixel'):
        _scores([(np.zeros((4, 4), int), empty)]).summary()


def test_report_says_the_same_in_all_three_forms(tmp_path: Path) -> None:
    scores = _scores(_random_pairs(5))
    json_path, csv_path = write_scores(scores, tmp_path / 'deep' / 'out', dict(config='x.py'))
    table = json.loads(json_path.read_text())
    assert table['source'] == {'config': 'x.py'}
    rows = list(csv.DictReader(csv_path.open()))
    assert table['mIoU'] == scores.summary()['mIoU'] == pytest.approx(np.mean([r['IoU'] for r in table['classes'][:3]]))
    assert (table['num_pictures'], table['num_classes'], table['num_classes_left_out']) == (4, 4, 1)
    assert [row['name'] for row in rows] == list(CLASSES) and [row['label'] for row in rows] == ['1', '2', '3', '4']
    assert float(rows[0]['IoU']) == table['classes'][0]['IoU'] and rows[3]['IoU'] == ''
    assert table['classes'][3]['IoU'] is None
    text = score_table(scores)
    assert f'mIoU {100 * table["mIoU"]:.2f} %' in text and '3 of 4 classes: 1 left out of the mean' in text
    assert all(name in text for name in CLASSES)
    assert sorted(p.name for p in json_path.parent.iterdir()) == ['scores.csv', 'scores.json']


def test_names_are_printed_as_they_are() -> None:
    """Brackets are no markup."""
    classes = ('[red]', 'x[/y]', 'tree', 'car')
    assert all(name in score_table(_scores(_random_pairs(0), classes)) for name in classes)
