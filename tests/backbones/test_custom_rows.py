"""Networks of rows that nobody has published: shapes, gradients, fusing, checkpoints, as of any other."""

from __future__ import annotations

import copy

import pytest
import torch

from effformer_dense import EfficientFormerV1, EfficientFormerV2
from effformer_dense.backbones.attention import DownsamplingAttention, MapAttention
from effformer_dense.deploy import fuse
from effformer_dense.errors import UserError
from effformer_dense.rows import to_arch
from tests.helpers import randomise

SMALL = dict(widths=(16, 24, 32, 48), depths=(1, 1, 2, 2))
ATTENTION = dict(**SMALL, attention_blocks=(0, 0, 1, 1))
ROWS = {
    'v1, attention at 1/16': (EfficientFormerV1, ATTENTION),
    'v1, no attention': (EfficientFormerV1, SMALL),
    'no attention': (EfficientFormerV2, dict(**SMALL, attention_downsample=False)),
    'attention at 1/16 alone': (EfficientFormerV2, dict(**SMALL, attention_blocks=(0, 0, 2, 0))),
    'no attention downsampling': (EfficientFormerV2, dict(**ATTENTION, attention_downsample=False)),
    'pool': (EfficientFormerV2, dict(**ATTENTION, local_mixer='pool')),
    'depthwise': (EfficientFormerV2, dict(**ATTENTION, local_mixer='depthwise')),
    'plain attention': (EfficientFormerV2, dict(**ATTENTION, talking_heads=False, local_value=False)),
    'no stride attention': (EfficientFormerV2, dict(**ATTENTION, stride_attention=False)),
    'five stages': (
        EfficientFormerV2,
        dict(widths=(16, 16, 24, 32, 48), depths=(1, 1, 2, 2, 1), attention_blocks=(0, 0, 1, 1, 1)),
    ),
}


@pytest.fixture(params=ROWS.values(), ids=ROWS.keys())
def net(request):
    family, arch = request.param
    return randomise(family(arch=arch, out_indices=range(len(arch['widths']))))


@pytest.mark.parametrize('size', [(224, 224), (97, 131), (161, 65)])
def test_maps_have_their_shapes_and_every_parameter_a_gradient(net, size) -> None:
    maps = net(torch.rand(2, 3, *size))
    levels = zip(net.variant.widths, net.out_strides, strict=True)
    assert [tuple(m.shape) for m in maps] == [
        (2, width, *(-(-side // stride) for side in size)) for width, stride in levels
    ]
    sum(m.square().mean() for m in maps).backward()
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in net.parameters())


def test_fused_it_gives_the_same(net) -> None:
    net.eval()
    image = torch.rand(1, 3, 95, 160)
    with torch.inference_mode():
        for expected, found in zip(net(image), fuse(net)(image), strict=True):
            assert (found - expected).std() < 1e-4 * expected.std()


def test_its_checkpoint_loads_into_its_row_alone(net) -> None:
    state = copy.deepcopy(net.state_dict())
    again = type(net)(arch=to_arch(net.variant), out_indices=net.out_indices)
    assert not any(again.load_state_dict(state, strict=True))
    assert all(torch.equal(again.state_dict()[key], value) for key, value in state.items())
    other = type(net)(arch=dict(widths=(16, 24, 32, 64), depths=(1, 1, 2, 2)))
    with pytest.raises(UserError, match='do not fit'):
        other.load_state_dict(state, strict=False)


def test_weights_of_a_published_row_are_no_row_of_its_widths_without_attention_downsampling() -> None:
    state = EfficientFormerV2('s0').state_dict()
    with pytest.raises(UserError, match=r"are of EfficientFormerV2 s0.*Set arch='s0'"):
        EfficientFormerV2(arch=dict(base='s0', attention_downsample=False)).load_state_dict(state)


def test_switches_change_what_they_name() -> None:
    def parts(kind, **switches):
        return [m for m in EfficientFormerV2(arch=dict(**ATTENTION, **switches)).modules() if isinstance(m, kind)]

    strided, plain = parts(MapAttention)
    assert (strided.stride, plain.stride) == (2, 1) and strided.bias.table.shape == plain.bias.table.shape == (8, 7, 7)
    whole, _ = parts(MapAttention, stride_attention=False)
    assert whole.stride == 1 and whole.bias.table.shape == (8, 14, 14)
    assert len(parts(DownsamplingAttention)) == 1 and not parts(DownsamplingAttention, attention_downsample=False)
    bare = parts(MapAttention, talking_heads=False, local_value=False)[0]
    assert bare.talking_head1 is None and bare.talking_head2 is None and bare.v_local is None


def test_options_of_parts_that_a_row_lacks_are_refused() -> None:
    with pytest.raises(UserError, match='has no talking heads'):
        EfficientFormerV2(arch=dict(**ATTENTION, talking_heads=False), talking_bias='mean')
    with pytest.raises(UserError, match='from 0 to 3'):
        EfficientFormerV2(arch=ATTENTION, out_indices=(0, 4))
