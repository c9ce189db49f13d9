"""Masks at the picture's size are mmdet's, their run lengths pycocotools'."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pycocotools import mask as coco_mask

from effformer_dense.results.masks import paste_masks, run_lengths

_BOXES = [
    [10.0, 20, 60, 50],
    [0, 0, 97, 83],
    [-5, 60, 30, 90.5],
    [90.2, 0, 97, 83],
    [40.25, 40.75, 41.5, 41.25],
    [50, 50, 50, 50],
]


def test_pasted_as_by_mmdet() -> None:
    pytest.importorskip('mmdet')
    from mmdet.models.roi_heads.mask_heads.fcn_mask_head import _do_paste_mask

    rng = np.random.default_rng(0)
    small = rng.random((len(_BOXES), 28, 28), dtype=np.float32)
    found = paste_masks(small, np.array(_BOXES, np.float32), 83, 97, 0.5)
    assert found.shape == (len(_BOXES), 83, 97) and found.dtype == bool
    for index, box in enumerate(_BOXES):  # one by one, as mmdet does on a CPU
        mask, place = _do_paste_mask(torch.tensor(small[index : index + 1, None]), torch.tensor([box]), 83, 97, True)
        expected = np.zeros((83, 97), bool)
        expected[place] = (mask[0] >= 0.5).numpy()
        assert (found[index] != expected).sum() <= 1, box
    assert found[0].sum() > 500 and found[1].sum() > 3000


@pytest.mark.parametrize('count', [0, 1])
def test_none_and_one(count: int) -> None:
    pasted = paste_masks(np.ones((count, 28, 28), np.float32), np.array([[2.0, 3, 10, 11]] * count), 40, 50, 0.5)
    assert pasted.shape == (count, 40, 50) and pasted.sum() == 64 * count


def test_run_lengths_are_those_of_pycocotools() -> None:
    rng = np.random.default_rng(0)
    masks = [
        rng.random((int(h), int(w))) < share for h, w in rng.integers(1, 90, (30, 2)) for share in (0.02, 0.5, 0.98)
    ]
    masks += [np.zeros((7, 5), bool), np.ones((7, 5), bool), np.eye(400, dtype=bool)]
    large = np.zeros((3000, 2000), bool)
    large[100:2900, 1990:] = True
    masks += [large, ~large]
    for mask in masks:
        expected = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
        found = run_lengths(mask)
        assert found == {'size': list(mask.shape), 'counts': expected['counts'].decode()}
