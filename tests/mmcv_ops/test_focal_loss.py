"""Sigmoid focal loss against the formula of the paper and finite differences."""

from __future__ import annotations

import pytest
import torch
from mmcv.ops import sigmoid_focal_loss, softmax_focal_loss

from effformer_dense.mmcv_ops.missing import MissingOpError

pytestmark = pytest.mark.usefixtures('with_stand_in')

CLASSES = 4
TARGETS = torch.tensor([0, 3, 4, 1, 2, 4])  # 4: none of them


@pytest.mark.parametrize('gamma', [2.0, 1.5])
def test_loss_is_that_of_the_paper(gamma: float) -> None:
    logits = torch.randn(len(TARGETS), CLASSES, dtype=torch.float64)
    one_hot = torch.nn.functional.one_hot(TARGETS, CLASSES + 1)[:, :CLASSES].bool()
    p_t = torch.where(one_hot, logits.sigmoid(), 1 - logits.sigmoid())  # paper, equation 2
    alpha_t = torch.where(one_hot, 0.25, 0.75)
    expected = -alpha_t * (1 - p_t) ** gamma * p_t.log()  # equation 5
    loss = sigmoid_focal_loss(logits, TARGETS, gamma, 0.25, None, 'none')
    torch.testing.assert_close(loss, expected)
    mean = sigmoid_focal_loss(logits, TARGETS, gamma, 0.25, None, 'mean')
    torch.testing.assert_close(mean, expected.sum() / len(TARGETS))


@pytest.mark.parametrize('reduction', ['none', 'mean', 'sum'])
@pytest.mark.parametrize('weighted', [True, False])
def test_gradients(weighted: bool, reduction: str) -> None:
    logits = torch.randn(len(TARGETS), CLASSES, dtype=torch.float64, requires_grad=True)
    weight = torch.tensor([0.5, 2.0, 1.0, 3.0], dtype=torch.float64) if weighted else None
    function = lambda x: sigmoid_focal_loss(x, TARGETS, 2.0, 0.25, weight, reduction)  # noqa: E731
    assert torch.autograd.gradcheck(function, logits)


def test_weights_are_those_of_the_targets_classes() -> None:
    logits = torch.randn(len(TARGETS), CLASSES)
    weight = torch.tensor([0.5, 2.0, 1.0, 3.0])
    plain = sigmoid_focal_loss(logits, TARGETS, 2.0, 0.25, None, 'none')
    weighted = sigmoid_focal_loss(logits, TARGETS, 2.0, 0.25, weight, 'none')
    torch.testing.assert_close(weighted, plain * torch.tensor([0.5, 3, 1, 2, 1, 1])[:, None])


def test_large_logits_stay_finite() -> None:
    logits = torch.tensor([[200.0, -200.0]], requires_grad=True)
    loss = sigmoid_focal_loss(logits, torch.tensor([1]), 2.0, 0.25, None, 'sum')
    loss.backward()
    assert torch.isfinite(loss) and torch.isfinite(logits.grad).all()


def test_softmax_focal_loss_is_missing() -> None:
    with pytest.raises(MissingOpError, match='softmax_focal_loss_forward'):
        softmax_focal_loss(torch.randn(2, 3), torch.tensor([0, 1]), 2.0, 0.25, None, 'none')
