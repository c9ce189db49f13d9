"""Fused detectors: what they find is what was found before."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from effformer_dense.deploy import fuse, winograd
from tests.detection.test_graph import picture, predicted


@pytest.mark.parametrize('kind', ['mask', 'faster', 'retina'])
def test_the_same_detections(kind: str, build_detector: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(winograd, '_MIN_WEIGHTS', 1)  # these detectors are narrow
    model = build_detector(kind)
    fused = fuse(model)
    kinds = [type(module) for module in fused.modules()]
    assert winograd.WinogradConv in kinds
    wanted, found = (predicted(one, picture(160, 224)) for one in (model, fused))
    assert len(wanted) == len(found) > 5 and torch.equal(wanted.labels, found.labels)
    torch.testing.assert_close(found.bboxes, wanted.bboxes, rtol=0, atol=0.02)
    torch.testing.assert_close(found.scores, wanted.scores, rtol=0, atol=1e-4)
    if kind == 'mask':
        assert (wanted.masks != found.masks).float().mean() < 1e-3


def test_maps_of_mask_r_cnn_are_channels_last_between_its_networks(build_detector: Callable) -> None:
    model = build_detector('mask')
    for one, is_so in ((model, False), (fuse(model), True)):
        seen: list[bool] = []
        for network in (one.neck.fpn_convs[0], one.roi_head.mask_head.conv_logits):
            network.register_forward_hook(
                lambda module, inputs, output, seen=seen: seen.append(
                    output.is_contiguous(memory_format=torch.channels_last)
                )
            )
        assert len(predicted(one, picture(160, 224))) > 5
        assert seen == [is_so, is_so]
