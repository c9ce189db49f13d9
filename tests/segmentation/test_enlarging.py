"""Labels of enlarged logits against enlarging the logits."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from effformer_dense.segmentation import enlarging
from effformer_dense.segmentation.enlarging import Line, enlarged_labels, interpolation

SIZES = [
    ((12, 17), (48, 68), (48, 68)),
    ((12, 17), (48, 68), (75, 61)),
    ((9, 14), (36, 56), (20, 23)),
    ((5, 1), (5, 1), (7, 3)),
]


def _twice(logits: torch.Tensor, first, second, align_corners: bool) -> torch.Tensor:
    for size in (first, second):
        logits = F.interpolate(logits, size, mode='bilinear', align_corners=align_corners)
    return logits


def _lines(size, first, second, align_corners: bool) -> list[Line]:
    sides = zip(size, first, second, strict=True)
    return [Line.of(interpolation(b, c, align_corners) @ interpolation(a, b, align_corners)) for a, b, c in sides]


def _coarse_logits(size) -> torch.Tensor:
    """As of a trained segmentor: neighbours mostly agree."""
    torch.manual_seed(0)
    return F.interpolate(torch.randn(1, 6, 4, 4), size, mode='bicubic')


@pytest.mark.parametrize('align_corners', [False, True])
@pytest.mark.parametrize('sizes', SIZES)
@pytest.mark.parametrize('noise', [0.0, 3.0])
def test_labels_are_those_of_enlarged_logits(noise: float, sizes, align_corners: bool) -> None:
    logits = _coarse_logits(sizes[0]).double()
    logits += noise * torch.randn_like(logits)
    enlarged = _twice(logits, *sizes[1:], align_corners)
    labels = enlarged_labels(logits[0].float(), *_lines(*sizes, align_corners))
    best = enlarged[0].topk(2, dim=0).values
    clear = best[0] - best[1] > 1e-4
    assert labels.shape == sizes[2] and labels.dtype == torch.uint8 and clear.float().mean() > 0.95
    assert torch.equal(labels[clear].long(), enlarged[0].argmax(dim=0)[clear])


@pytest.mark.parametrize('align_corners', [False, True])
@pytest.mark.parametrize(('length', 'target'), [(7, 28), (28, 7), (5, 5), (4, 9), (1, 6)])
def test_weights_are_those_of_torch(length: int, target: int, align_corners: bool) -> None:
    line = torch.randn(1, 1, length, dtype=torch.float64)
    expected = F.interpolate(line, target, mode='linear', align_corners=align_corners)
    torch.testing.assert_close(interpolation(length, target, align_corners) @ line[0, 0], expected[0, 0])


def test_only_borders_between_labels_are_interpolated(monkeypatch: pytest.MonkeyPatch) -> None:
    """The class of the rest is known from the neighbours, and its logits at the picture's size never exist."""
    computed = []
    labels_at = enlarging._labels_at
    monkeypatch.setattr(
        enlarging, '_labels_at', lambda places, *rest: computed.append(places) or labels_at(places, *rest)
    )
    logits = torch.full((3, 32, 32), -1.0)
    logits[1, :, :16] = logits[2, :, 16:] = 1.0
    labels = enlarged_labels(logits, *_lines((32, 32), (128, 128), (128, 128), False))
    assert labels[:, :64].eq(1).all() and labels[:, 64:].eq(2).all()
    columns = torch.cat(computed)[:, 1].unique()
    assert columns.min() >= 60 and columns.max() < 68
