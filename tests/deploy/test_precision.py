"""Copies that compute in bfloat16: near single precision, refused where hardware lacks it."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from effformer_dense.backbones import native_attention
from effformer_dense.backbones.attention import RelativePositionBias, TalkingHead
from effformer_dense.deploy import fuse, precision
from effformer_dense.deploy.precision import check_precision, lacks_bf16
from effformer_dense.deploy.speed import speed_up
from effformer_dense.errors import UserError
from effformer_dense.variants import Variant
from tests.helpers import SIZES, build, randomise

CPU = torch.device('cpu')
LACK = lacks_bf16(CPU)
BF16 = pytest.mark.skipif(LACK is not None, reason=f'bfloat16: {LACK}')


@torch.no_grad()
def _deviations(model: nn.Module, other: nn.Module, images: Tensor) -> list[float]:
    """Root mean square of the difference in each stage, in its standard deviations."""
    pairs = zip(model(images), other(images), strict=True)
    return [float((a - b).square().mean().sqrt() / a.std()) for a, b in pairs]


@BF16
@pytest.mark.parametrize('options', [{}, dict(norm_cfg=dict(type='GN', num_groups=1)), dict(bias_resize='matrix')])
def test_features_are_near(tiny: Variant, options: dict) -> None:
    """Seen: 0.003 to 0.006 in the tiny networks, from the first stage to the last."""
    net = randomise(build(tiny, **options)).eval()
    fused = fuse(net, 'bf16')
    for height, width in SIZES:
        deviations = _deviations(net, fused, torch.randn(1, 3, height, width))
        assert max(deviations) < 0.015
        assert max(deviations) > 1e-4  # it does compute in bfloat16


@BF16
def test_images_and_maps_are_in_single_precision_and_channels_first(tiny: Variant) -> None:
    net = randomise(build(tiny)).eval()
    fused = fuse(net, precision='bf16')
    images = torch.randn(2, 3, 97, 131)
    with torch.no_grad():
        wanted, found = net(images), fused(images)
    for a, b in zip(wanted, found, strict=True):
        assert b.dtype == torch.float32 and b.is_contiguous() and a.shape == b.shape
    assert images.dtype == torch.float32 and all(p.dtype == torch.float32 for p in net.parameters())
    with pytest.raises(UserError, match='NaN'):
        fused(images * torch.nan)
    with pytest.raises(UserError, match='at least 32 px'):
        fused(images[:, :, :31])


@BF16
def test_what_computes_in_bfloat16(tiny: Variant) -> None:
    fused = fuse(randomise(build(tiny)), 'bf16')
    kept = {TalkingHead, RelativePositionBias, nn.LayerNorm}
    for module in fused.modules():
        for parameter in module.parameters(recurse=False):
            norm = type(module) in kept or type(module).__name__ == 'OutputNorm'
            assert parameter.dtype == (torch.float32 if norm else torch.bfloat16), type(module)


@BF16
def test_softmax_gets_single_precision(tiny: Variant, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    original = Tensor.softmax
    monkeypatch.setattr(native_attention, 'library', lambda: None)  # which computes all in single precision
    monkeypatch.setattr(Tensor, 'softmax', lambda self, *a, **k: seen.append(self.dtype) or original(self, *a, **k))
    with torch.no_grad():
        fuse(randomise(build(tiny)), 'bf16')(torch.randn(1, 3, 64, 96))
    assert seen and set(seen) == {torch.float32}


@BF16
def test_weights_that_change_afterwards_do_not_matter_to_the_copy(tiny: Variant) -> None:
    net = randomise(build(tiny)).eval()
    fused, images = fuse(net, 'bf16'), torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        before = fused(images)
        for parameter in net.parameters():
            parameter.mul_(2)
        assert all(map(torch.equal, before, fused(images)))


@BF16
def test_weights_of_the_copy_that_change_do_matter(tiny: Variant) -> None:
    """Neither weights in oneDNN's order nor biases of the last size are held on to."""
    net, other = (randomise(build(tiny), seed).eval() for seed in (0, 1))
    fused, images = fuse(net, 'bf16'), torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        before = fused(images)
        fused.load_state_dict(fuse(other, 'bf16').state_dict())
        assert not torch.equal(before[3], fused(images)[3])
    assert max(_deviations(other, fused, images)) < 0.015


@BF16
def test_copies_are_their_own(tiny: Variant) -> None:
    fused, images = fuse(randomise(build(tiny)), 'bf16'), torch.randn(1, 3, 64, 96)
    for other in (copy.deepcopy(fused), fuse(fused)):
        assert max(_deviations(fused, other, images)) == 0
        with torch.no_grad():
            for parameter in other.parameters():
                parameter.zero_()
            assert float(other(images)[0].abs().max()) == 0 < float(fused(images)[0].abs().max())


@BF16
def test_fused_without_being_asked(tiny: Variant) -> None:
    net, images = randomise(build(tiny)).eval(), torch.randn(1, 3, 64, 96)
    assert max(_deviations(fuse(net, 'bf16'), speed_up(net, False, False, 'bf16'), images)) == 0


@BF16
def test_weights_of_another_precision_are_refused(tiny: Variant) -> None:
    with pytest.raises(
        UserError, match=r'starts from weights in float32; EfficientFormerV\d has some in torch.float64'
    ):
        fuse(build(tiny).double(), 'bf16')
    with pytest.raises(UserError, match=r'has some in torch\.bfloat16'):
        fuse(fuse(build(tiny), 'bf16'), 'bf16')


def test_precisions_that_there_are_not(tiny: Variant) -> None:
    with pytest.raises(UserError, match=r"fp32, bf16; got 'bf61'\. Did you mean 'bf16'"):
        fuse(build(tiny), 'bf61')


def test_processors_without_it_are_refused(tiny: Variant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, '_cpu_flags', lambda: {'fpu', 'avx512f', 'bf16x'})
    with pytest.raises(UserError, match=r"'bf16' would be slower here than 'fp32': .* Leave it at 'fp32'"):
        fuse(build(tiny), 'bf16')
    check_precision('fp32', CPU)


@pytest.mark.parametrize(
    ('text', 'flags'),
    [
        ('processor\t: 0\nflags\t\t: fpu avx512_bf16 sse\n\nflags\t\t: other\n', {'fpu', 'avx512_bf16', 'sse'}),
        ('processor\t: 0\nFeatures\t: fp asimd bf16\n', {'fp', 'asimd', 'bf16'}),  # Arm
        ('', set()),
    ],
)
def test_flags_of_a_processor(text: str, flags: set[str], tmp_path: Path) -> None:
    path = tmp_path / 'cpuinfo'
    path.write_text(text)
    assert precision._cpu_flags(path) == flags


def test_a_system_that_does_not_tell(tmp_path: Path) -> None:
    assert precision._cpu_flags(tmp_path / 'cpuinfo') == set()


@pytest.mark.parametrize(('capability', 'refused'), [((7, 5), True), ((8, 0), False), ((9, 0), False)])
def test_gpus_by_capability(capability: tuple[int, int], refused: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, 'get_device_capability', lambda device: capability)
    monkeypatch.setattr(torch.cuda, 'get_device_name', lambda device: 'Some GPU')
    if refused:
        with pytest.raises(UserError, match=r'Some GPU has compute capability 7\.5'):
            check_precision('bf16', torch.device('cuda:0'))
    else:
        check_precision('bf16', torch.device('cuda:0'))


def test_other_devices_are_refused() -> None:
    with pytest.raises(UserError, match='of mps devices it is not known'):
        check_precision('bf16', torch.device('mps'))
