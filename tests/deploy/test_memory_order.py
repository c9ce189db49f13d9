"""Channels-last maps between necks and heads, where they are read right."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from effformer_dense.deploy import memory_order
from effformer_dense.deploy.memory_order import reads_any_order, use_channels_last


class FPN(nn.Conv2d):
    """Called as the neck whose consumers are known."""

    def __init__(self) -> None:
        super().__init__(4, 4, 1)

    def forward(self, maps: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        return tuple(super(FPN, self).forward(one) for one in maps)


class RPNHead(nn.Identity):
    """Reads any order."""


class OtherHead(nn.Identity):
    """Nobody knows."""


def _model(head: nn.Module) -> nn.Module:
    model = nn.Module()
    model.neck, model.rpn_head = FPN(), head
    return model.requires_grad_(False)


def _is_channels_last(model: nn.Module) -> bool:
    (output,) = model.neck((torch.randn(2, 4, 5, 6),))
    return output.is_contiguous(memory_format=torch.channels_last)


def test_maps_are_channels_last_for_known_heads_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    known, other = _model(RPNHead()), _model(OtherHead())
    for model in (known, other):
        use_channels_last(model)
    assert _is_channels_last(known) and not _is_channels_last(other)
    assert reads_any_order(known) and not reads_any_order(other) and not reads_any_order(nn.Sequential())
    monkeypatch.setattr(memory_order, 'is_compiled', lambda: True)  # its RoIAlign reads them wrongly
    assert not reads_any_order(known)


@pytest.mark.parametrize('name', sorted(memory_order._KNOWN))
def test_known_networks_exist(name: str) -> None:
    """A new name in mmdet or mmsegmentation would not be noticed otherwise."""
    pytest.importorskip('mmdet')
    pytest.importorskip('mmseg')
    import mmdet.models
    import mmseg.models

    assert any(hasattr(module, name) for module in (mmdet.models, mmseg.models))
