"""What counts as the same outputs."""

from __future__ import annotations

import numpy as np
import pytest

from effformer_dense.deploy.agreement import LIMITS, compare, deviation, match_detections

FP32 = LIMITS['fp32']


def _detections(count: int = 20, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    corners = rng.uniform(0, 400, (count, 2))
    return {
        'boxes': np.concatenate([corners, corners + rng.uniform(10, 90, (count, 2))], 1).astype(np.float32),
        'labels': rng.integers(0, 3, count),
        'scores': np.sort(rng.uniform(0.35, 1, count))[::-1].astype(np.float32),
    }


def test_deviations_are_in_standard_deviations():
    expected = np.array([0.0, 2.0, 0.0, 2.0])  # of standard deviation 1
    assert deviation(expected, expected + np.array([0, 0, 0, 0.4])) == pytest.approx((0.4, 0.1))


@pytest.mark.parametrize('off', [0.01, np.nan, np.inf])
def test_maps_that_differ_in_one_value(off: float):
    expected = np.random.default_rng(0).normal(size=(1, 8, 5, 7)).astype(np.float32)
    assert not compare({'stage1': expected}, {'stage1': expected + 1e-6}, FP32).faults
    wrong = expected.copy()
    wrong[0, 3, 2, 1] += off
    (fault,) = compare({'stage1': expected}, {'stage1': wrong}, FP32).faults
    assert fault.startswith('stage1 deviates')


def test_shapes_and_names_must_be_the_same():
    maps = {'logits': np.zeros((1, 2, 4, 4), np.float32)}
    assert 'shape' in compare(maps, {'logits': np.zeros((1, 2, 4, 5), np.float32)}, FP32).faults[0]
    assert 'outputs are' in compare(maps, {'labels': np.zeros((1, 4, 4), np.uint8)}, FP32).faults[0]


def test_labels_are_counted():
    labels = np.zeros((1, 100, 100), np.uint8)
    other = labels.copy()
    other[0, 0, :1] = 1
    assert compare({'labels': labels}, {'labels': other}, FP32).figures == {'labels equal': 0.9999}
    other[0, 0, :2] = 1
    assert compare({'labels': labels}, {'labels': other}, FP32).faults == ('2 of 10,000 labels differ',)


def test_one_label_of_a_small_picture_may_differ():
    labels = np.zeros((1, 40, 40), np.uint8)
    other = labels.copy()
    other[0, 0, 0] = 1
    assert not compare({'labels': labels}, {'labels': other}, FP32).faults
    other[0, 0, 1] = 1
    assert compare({'labels': labels}, {'labels': other}, FP32).faults == ('2 of 1,600 labels differ',)


def test_detections_in_another_order_agree():
    expected = _detections()
    order = np.random.default_rng(1).permutation(20)
    found = {name: values[order] for name, values in expected.items()}
    ours, theirs = match_detections(expected, found, FP32)
    assert (order[theirs] == ours).all() and len(ours) == 20
    assert compare(expected, found, FP32).figures['missed'] == 0


@pytest.mark.parametrize('change', ['box', 'label', 'score', 'left out', 'one more', 'twice the same'])
def test_a_detection_that_is_not_the_same_is_seen(change: str):
    expected = _detections()
    found = {name: values.copy() for name, values in expected.items()}
    if change == 'box':
        found['boxes'][7, 2] += 0.02
    elif change == 'label':
        found['labels'][7] += 1
    elif change == 'score':
        found['scores'][7] -= 0.002
    elif change == 'left out':
        found = {name: np.delete(values, 7, 0) for name, values in found.items()}
    elif change == 'one more':
        more = _detections(1, seed=5)
        found = {name: np.concatenate([values, more[name]]) for name, values in found.items()}
    else:
        for values in found.values():
            values[7] = values[8]
    assert compare(expected, found, FP32).faults


def test_detections_near_the_threshold_do_not_matter():
    expected, found = _detections(), _detections()
    faint = {'boxes': np.ones((1, 4), np.float32), 'labels': np.zeros(1, int), 'scores': np.full(1, 0.2, np.float32)}
    found = {name: np.concatenate([values, faint[name]]) for name, values in found.items()}
    assert not compare(expected, found, FP32).faults


def test_pictures_without_detections():
    none = {'boxes': np.zeros((0, 4), np.float32), 'labels': np.zeros(0, int), 'scores': np.zeros(0, np.float32)}
    agreement = compare(none, none, FP32)
    assert not agreement.faults and agreement.figures['detections'] == 0
    assert compare(none, _detections(), FP32).faults and compare(_detections(), none, FP32).faults


def test_what_noise_does_as_well_is_excused():
    expected = _detections()
    lost = {name: np.delete(values, 7, 0) for name, values in expected.items()}
    assert compare(expected, lost, FP32, noisy=[expected]).faults
    excused = compare(expected, lost, FP32, noisy=[expected, lost])
    assert not excused.faults and excused.figures['missed'] == 1 and excused.figures['unexplained'] == 0
    assert not compare(lost, expected, FP32, noisy=[expected]).faults
    assert compare(lost, expected, FP32, noisy=[lost]).faults
    other = {name: np.delete(values, 8, 0) for name, values in expected.items()}
    assert compare(expected, lost, FP32, noisy=[other]).faults  # of another detection
