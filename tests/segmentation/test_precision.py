"""Segmentors in bfloat16: the same labels but for few pixels."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from effformer_dense.deploy import fuse
from tests.deploy.test_precision import BF16

pytestmark = BF16


@pytest.mark.parametrize('test_cfg', [dict(mode='whole'), dict(mode='slide', crop_size=(96, 96), stride=(64, 64))])
def test_labels_are_nearly_all_the_same(test_cfg: dict, build_segmentor: Callable, make_batch: Callable) -> None:
    model = build_segmentor(**test_cfg)
    with torch.no_grad():
        wanted, found = (
            one.test_step(make_batch(131, 170))[0].pred_sem_seg.data for one in (model, fuse(model, 'bf16'))
        )
    assert len(wanted.unique()) > 2
    assert 0.98 < float((wanted == found).float().mean()) < 1


def test_logits_are_in_single_precision(build_segmentor: Callable) -> None:
    model, images, metas = build_segmentor(), torch.randn(1, 3, 96, 128), [dict(img_shape=(96, 128))]
    with torch.no_grad():
        wanted, found = (one.encode_decode(images, metas) for one in (model, fuse(model, 'bf16')))
    assert found.dtype == torch.float32 and found.is_contiguous() and found.shape == wanted.shape
