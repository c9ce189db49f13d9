"""RoIAlign against bilinear samples taken one by one."""

from __future__ import annotations

import math

import pytest
import torch
from mmcv.ops import RoIAlign, roi_align
from torch import Tensor

from effformer_dense.mmcv_ops import region_averages as region_averages_module
from effformer_dense.mmcv_ops.missing import MissingOpError
from effformer_dense.mmcv_ops.region_averages import region_averages

from .samples import make_regions

pytestmark = pytest.mark.usefixtures('with_stand_in')

HEIGHT, WIDTH, STRIDE = 9, 13, 4


def _sample(features: Tensor, y: float, x: float) -> Tensor:
    """(C, H, W) at one place; nothing beyond a whole position outside of the map."""
    height, width = features.shape[1:]
    if not (-1 <= y <= height and -1 <= x <= width):
        return features.new_zeros(len(features))
    y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
    top, left = int(y), int(x)
    bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
    down, across = y - top, x - left
    upper = features[:, top, left] * (1 - across) + features[:, top, right] * across
    lower = features[:, bottom, left] * (1 - across) + features[:, bottom, right] * across
    return upper * (1 - down) + lower * down


def _one_by_one(features: Tensor, regions: Tensor, size: tuple[int, int], ratio: int, aligned: bool) -> Tensor:
    output = features.new_zeros(len(regions), features.shape[1], *size)
    for index, (image, *corners) in enumerate(regions.tolist()):
        x1, y1, x2, y2 = (corner / STRIDE - (0.5 if aligned else 0) for corner in corners)
        height, width = (y2 - y1, x2 - x1) if aligned else (max(y2 - y1, 1), max(x2 - x1, 1))
        cell = height / size[0], width / size[1]
        samples = [ratio or math.ceil(side) for side in cell]
        for row in range(size[0]):
            for column in range(size[1]):
                for i in range(samples[0]):
                    for j in range(samples[1]):
                        y = y1 + (row + (i + 0.5) / samples[0]) * cell[0]
                        x = x1 + (column + (j + 0.5) / samples[1]) * cell[1]
                        output[index, :, row, column] += _sample(features[int(image)], y, x) / math.prod(samples)
    return output


@pytest.mark.parametrize('ratio', [0, 2])
@pytest.mark.parametrize('aligned', [True, False])
def test_cells_are_averages_of_samples(aligned: bool, ratio: int) -> None:
    features = torch.randn(2, 3, HEIGHT, WIDTH, dtype=torch.float64)
    regions = make_regions(0, HEIGHT, WIDTH, STRIDE).double()
    expected = _one_by_one(features, regions, (3, 5), ratio, aligned)
    output = roi_align(features, regions, (3, 5), 1 / STRIDE, ratio, 'avg', aligned)
    torch.testing.assert_close(output, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize('ratio', [0, 2])
@pytest.mark.parametrize('aligned', [True, False])
def test_gradients(aligned: bool, ratio: int) -> None:
    features = torch.randn(2, 2, 5, 6, dtype=torch.float64, requires_grad=True)
    regions = make_regions(1, 5, 6, STRIDE, count=12).double()
    assert torch.autograd.gradcheck(
        lambda x: roi_align(x, regions, (2, 3), 1 / STRIDE, ratio, 'avg', aligned), features
    )


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_half_precision_is_that_of_the_map_alone(dtype: torch.dtype) -> None:
    """Nothing is lost but in rounding the result, nor are boxes moved by rounding theirs."""
    features, regions = torch.randn(2, 8, 50, 84).to(dtype), make_regions(2, 50, 84, 16)
    expected = roi_align(features.float(), regions, (7, 7), 1 / 16)
    output = roi_align(features, regions, (7, 7), 1 / 16)
    assert output.dtype == dtype and torch.equal(output, expected.to(dtype))
    gradients = []
    for leaf in (features, features.float()):
        leaf = leaf.clone().requires_grad_()
        roi_align(leaf, regions, (7, 7), 1 / 16).sum().backward()
        gradients.append(leaf.grad)
    assert torch.equal(gradients[0], gradients[1].to(dtype))


def test_autocast_changes_nothing() -> None:
    features, regions = torch.randn(2, 4, 20, 30), make_regions(3, 20, 30, 8)
    expected = roi_align(features, regions, (7, 7), 0.125)
    with torch.autocast('cpu', torch.bfloat16):
        output = roi_align(features, regions, (7, 7), 0.125)
        assert roi_align(features.bfloat16(), regions, (7, 7), 0.125).dtype == torch.bfloat16
    assert output.dtype == torch.float32 and torch.equal(output, expected)


def test_channels_last_maps_are_read_right() -> None:
    features, regions = torch.randn(2, 8, 20, 30), make_regions(4, 20, 30, 8)
    expected = roi_align(features, regions, (7, 7), 0.125)
    assert torch.equal(
        roi_align(features.contiguous(memory_format=torch.channels_last), regions, (7, 7), 0.125), expected
    )


def test_no_regions() -> None:
    features = torch.randn(1, 8, 20, 30, requires_grad=True)
    output = RoIAlign(7, 0.25)(features, torch.zeros(0, 5))
    assert output.shape == (0, 8, 7, 7)
    output.sum().backward()
    assert not features.grad.any()


@pytest.mark.parametrize('corners', [[9.0, 5, 2, 9], [math.nan, 0, 3, 3], [0, 0, math.inf, 3]])
def test_a_region_without_a_size_is_named(corners: list[float]) -> None:
    regions = torch.tensor([[0, 1.0, 1, 8, 8], [0, *corners]])
    with pytest.raises(RuntimeError, match=r'region 1 is .*negative or no finite size'):
        roi_align(torch.randn(1, 4, 8, 8), regions, (7, 7), 1.0)


def test_not_aligned_a_region_turned_round_counts_as_one_position() -> None:
    features = torch.randn(1, 4, 8, 8)
    turned = roi_align(features, torch.tensor([[0, 5.0, 5, 2, 3]]), (2, 2), 1.0, 0, 'avg', False)
    single = roi_align(features, torch.tensor([[0, 5.0, 5, 6, 6]]), (2, 2), 1.0, 0, 'avg', False)
    assert torch.equal(turned, single)


def test_the_maximum_is_missing() -> None:
    with pytest.raises(MissingOpError, match=r"roi_align with pool_mode='max' .*MMCV=compiled make setup"):
        roi_align(torch.randn(1, 4, 8, 8), torch.tensor([[0, 1.0, 1, 8, 8]]), (7, 7), 1.0, 0, 'max')


@pytest.mark.parametrize('sampling_ratio', [0, 2])
@pytest.mark.parametrize('aligned', [True, False])
def test_sums_of_cells_are_torchvisions_averages_of_samples(aligned: bool, sampling_ratio: int) -> None:
    features, regions = torch.randn(2, 8, 40, 60), make_regions(5, 40, 60, 8)
    long = torch.tensor([[1, 0.0, 3, 470, 9], [0, 200, 1, 203, 310]])  # many samples along one axis alone
    regions = torch.cat([regions, long])
    expected = torch.ops.torchvision.roi_align(features, regions, 0.125, 7, 5, sampling_ratio, aligned)
    output = region_averages(features, regions, 0.125, (7, 5), sampling_ratio, aligned)
    assert expected.std() > 0.1
    torch.testing.assert_close(output, expected, rtol=0, atol=3e-6)


def test_a_long_region_makes_no_work_for_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cells are read for regions of about as many samples together."""
    read = []
    bag = region_averages_module.F.embedding_bag
    monkeypatch.setattr(
        region_averages_module.F,
        'embedding_bag',
        lambda indices, *args, **options: read.append(indices.numel()) or bag(indices, *args, **options),
    )
    features = torch.randn(1, 4, 100, 200)
    short = torch.tensor([0, 10.0, 10, 24, 24]).expand(200, 5)  # two samples a cell
    long = torch.tensor([[0, 0.0, 0, 200, 8], [0, 0, 0, 8, 100]])
    region_averages(features, short, 1.0, (7, 7), 0, True)
    alone = sum(read)
    region_averages(features, torch.cat([short, long]), 1.0, (7, 7), 0, True)
    assert len(read) == 4 and sum(read) - alone < 1.1 * alone


def test_training_rounds_as_torchvision() -> None:
    """A training is the same with mmcv's compiled ops, to the bit."""
    features, regions = torch.randn(1, 64, 20, 30), make_regions(6, 20, 30, 8)
    regions[:, 0] = 0
    expected = torch.ops.torchvision.roi_align(features, regions, 0.125, 7, 7, 0, True)
    assert torch.equal(roi_align(features.clone().requires_grad_(), regions, (7, 7), 0.125), expected)
    inferred = roi_align(features, regions, (7, 7), 0.125)
    assert not torch.equal(inferred, expected)
    torch.testing.assert_close(inferred, expected, rtol=0, atol=3e-6)
