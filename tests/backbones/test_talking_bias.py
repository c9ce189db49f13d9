"""What the second talking head's bias adds, at sizes other than that of the bias table."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from effformer_dense import EfficientFormerV1
from effformer_dense.backbones.attention import MapAttention
from effformer_dense.backbones.options import AttentionOptions
from effformer_dense.errors import UserError
from tests.helpers import TINY_V2, build, randomise


def _middle(kind: str, side: int) -> torch.Tensor:
    """Output of an attention, whose heads add a tenth to all weights, in the middle of a map that is one everywhere."""
    torch.manual_seed(0)
    block = MapAttention(4, dict(type='BN'), AttentionOptions(bias_grid=3, talking_bias=kind)).eval()
    assert block.talking_head2.bias is not None
    nn.init.constant_(block.talking_head2.bias, 0.1)
    return block(torch.ones(1, 4, side, side))[0, :, side // 2, side // 2]


@torch.no_grad()
def test_a_map_of_one_value_gives_one_value_at_every_size() -> None:
    torch.testing.assert_close(_middle('mean', 4), _middle('mean', 12), rtol=1e-4, atol=1e-5)
    assert not torch.allclose(_middle('sum', 4), _middle('sum', 12), rtol=0.1)


@torch.no_grad()
def test_nothing_changes_on_the_base_grid_and_much_elsewhere() -> None:
    published = randomise(build(TINY_V2, bias_grid=3)).eval()
    other = build(TINY_V2, bias_grid=3, talking_bias='mean').eval()
    other.load_state_dict(published.state_dict())
    for side, is_home in ((96, True), (192, False)):
        images = torch.randn(1, 3, side, side)
        same = [
            torch.allclose(a, b, rtol=1e-4, atol=1e-4) for a, b in zip(published(images), other(images), strict=True)
        ]
        assert all(same) if is_home else not same[-1]


def test_v1_has_none() -> None:
    with pytest.raises(UserError, match="talking_bias='mean' is for V2"):
        EfficientFormerV1(arch='l1', talking_bias='mean')
