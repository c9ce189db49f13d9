"""Resizing without OpenCV is OpenCV's."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from torch.nn.functional import interpolate

from effformer_dense.runtime.resizing import labels_of, resize, resize_labels


@pytest.mark.parametrize(
    ('size', 'wanted'),
    [
        ((480, 640), (800, 1067)),
        ((333, 517), (96, 150)),
        ((512, 683), (256, 342)),
        ((64, 64), (32, 32)),
        ((97, 33), (300, 400)),
        ((600, 900), (32, 48)),
        ((40, 40), (300, 299)),
        ((33, 500), (500, 33)),
        ((50, 60), (50, 90)),
    ],
)
def test_at_most_one_level_from_opencv(size: tuple[int, int], wanted: tuple[int, int]) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    expected = cv2.resize(picture, wanted[::-1], interpolation=cv2.INTER_LINEAR).astype(int)
    found = resize(picture, *wanted)
    assert found.shape == (*wanted, 3) and found.dtype == np.uint8
    difference = np.abs(found - expected)
    assert difference.max() <= 1 and (difference > 0).mean() < 0.01


def test_the_same_size_is_the_same_picture() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (50, 60, 3), dtype=np.uint8)
    assert np.array_equal(resize(picture, 50, 60), picture)


@pytest.mark.parametrize('wanted', [(37, 90), (16, 11), (20, 24)])
def test_logits_are_interpolated_as_by_mmseg(wanted: tuple[int, int]) -> None:
    logits = np.random.default_rng(0).normal(size=(5, 20, 24)).astype(np.float32)
    large = interpolate(torch.tensor(logits)[None], wanted, mode='bilinear', align_corners=False)
    assert (labels_of(logits, *wanted) == large[0].argmax(0).numpy()).mean() > 0.999


def test_labels_take_the_nearest() -> None:
    labels = np.arange(12, dtype=np.uint8).reshape(3, 4)
    assert np.array_equal(resize_labels(labels, 6, 8), labels.repeat(2, 0).repeat(2, 1))
    assert np.array_equal(resize_labels(labels.repeat(3, 0).repeat(3, 1), 3, 4), labels)
