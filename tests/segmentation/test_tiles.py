"""Windows and rows: together they are what the whole picture would have given."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from effformer_dense.segmentation import tiles
from effformer_dense.segmentation.tiles import RowResizer, sliding_window_tiles, window_starts


def _resize(image: Tensor, target: tuple[int, int], cuts: list[int], align_corners: bool = False) -> Tensor:
    """Through a RowResizer, fed tile by tile."""
    resizer = RowResizer(tuple(image.shape[1:]), target, align_corners)
    out = torch.full((len(image), *target), float('nan'))
    for start, stop in zip([0, *cuts], [*cuts, image.shape[1]], strict=True):
        for top, tile in resizer.add(image[:, start:stop]):
            assert out[:, top : top + tile.shape[1]].isnan().all(), 'every row comes once'
            out[:, top : top + tile.shape[1]] = tile
    assert not out.isnan().any(), 'and every row comes'
    return out


@pytest.mark.parametrize('align_corners', [False, True])
@pytest.mark.parametrize('target', [(37, 53), (80, 53), (37, 20), (91, 119), (11, 7), (1, 1), (300, 2)])
@pytest.mark.parametrize('cuts', [[], [1], [10, 11, 30], [36]])
def test_resized_rows_are_those_of_interpolate(target: tuple[int, int], cuts: list[int], align_corners: bool) -> None:
    image = torch.randn(3, 37, 53, generator=torch.Generator().manual_seed(0))
    expected = F.interpolate(image[None], size=target, mode='bilinear', align_corners=align_corners)[0]
    torch.testing.assert_close(_resize(image, target, cuts, align_corners), expected, atol=2e-5, rtol=0)


def test_same_size_is_exactly_the_identity() -> None:
    image = torch.randn(2, 30, 40)
    assert torch.equal(_resize(image, (30, 40), [7, 8, 20]), image)


def test_tiles_stay_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiles, 'MAX_TILE_ELEMENTS', 1000)
    image = torch.randn(4, 20, 20)
    resizer = RowResizer((20, 20), (200, 50))
    sizes = [tile.numel() for _, tile in resizer.add(image)]
    assert max(sizes) <= 1000 and sum(sizes) == 4 * 200 * 50


def test_rows_that_are_used_up_are_let_go() -> None:
    resizer = RowResizer((1000, 8), (1500, 8))
    for start in range(0, 1000, 100):
        list(resizer.add(torch.randn(2, 100, 8)))
        assert resizer._rows is None or resizer._rows.untyped_storage().nbytes() <= 2 * 4 * 8 * 4, start


@pytest.mark.parametrize(
    ('length', 'window', 'stride', 'expected'),
    [
        (512, 512, 341, [0]),
        (300, 512, 341, [0]),
        (513, 512, 341, [0, 1]),
        (1000, 512, 341, [0, 341, 488]),
        (1024, 512, 512, [0, 512]),
    ],
)
def test_windows_reach_the_end_and_no_further(length: int, window: int, stride: int, expected: list[int]) -> None:
    assert window_starts(length, window, stride) == expected


@pytest.mark.parametrize(('window', 'stride'), [((40, 50), (26, 33)), ((64, 32), (64, 32)), ((33, 40), (7, 11))])
def test_pointwise_prediction_does_not_notice_the_windows(window: tuple[int, int], stride: tuple[int, int]) -> None:
    images = torch.randn(2, 3, 101, 87, dtype=torch.float64)
    rows = list(sliding_window_tiles(images, lambda part: 2 * part + 1, window, stride))
    torch.testing.assert_close(torch.cat(rows, dim=2), 2 * images + 1)


def test_windows_are_averaged_where_they_overlap() -> None:
    images = torch.zeros(1, 1, 4, 6)
    calls = iter([1.0, 3.0])
    rows = sliding_window_tiles(images, lambda part: torch.full_like(part, next(calls)), (4, 4), (4, 2))
    assert torch.cat(list(rows), dim=2)[0, 0, 0].tolist() == [1, 1, 2, 2, 3, 3]


def test_a_picture_in_one_window_is_predicted_once_and_exactly() -> None:
    images = torch.randn(1, 3, 50, 60)
    seen: list[Tensor] = []

    def predict(part: Tensor) -> Tensor:
        seen.append(part)
        return part.sin()

    (rows,) = sliding_window_tiles(images, predict, (50, 64), (30, 40))
    assert len(seen) == 1 and torch.equal(seen[0], images) and torch.equal(rows, images.sin())


def test_only_one_row_of_windows_is_held() -> None:
    """Tiles come while later windows have not been looked at yet."""
    images = torch.randn(1, 3, 400, 50)
    calls: list[int] = []
    rows = sliding_window_tiles(images, lambda part: calls.append(1) or part, (100, 50), (60, 50))
    next(rows)
    assert len(calls) == 1


@pytest.mark.parametrize('stride', [1, 7, 20, 33])
def test_small_tiles_are_the_large_ones(stride: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small strides keep more rows than they hand out, so that rows move over each other."""
    images = torch.randn(1, 3, 90, 40, dtype=torch.float64)

    def rows() -> list[Tensor]:
        return list(sliding_window_tiles(images, lambda part: part * part.mean(), (33, 40), (stride, 40)))

    large = rows()
    monkeypatch.setattr(tiles, 'MAX_TILE_ELEMENTS', 3 * 40 * 2)
    small = rows()
    assert max(tile.shape[2] for tile in small) <= 2
    assert torch.equal(torch.cat(small, dim=2), torch.cat(large, dim=2))
