"""Logits of a large picture, computed and resized in tiles of whole rows so that they never exist all at once.

150 classes at 4000 x 3000 px are 7 GB of logits; the classes they end in are 12 million bytes. Both halves of the way
there go from the top of the picture to its bottom: :func:`sliding_window_tiles` averages overlapping windows and hands
out rows as soon as no later window touches them, and :class:`RowResizer` interpolates the rows that it has been given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ..backbones.base import MIN_SIDE_PX
from ..errors import UserError, choice_error

#: Elements of a tile of resized logits: 128 MiB in float32.
MAX_TILE_ELEMENTS = 2**25


MODES = ('whole', 'slide')


def check_test_cfg(test_cfg: Mapping[str, Any]) -> None:
    """A sliding window is complete and leaves no gaps.

    Raises:
        UserError: it is not.
    """
    mode = test_cfg.get('mode', 'whole')
    if mode not in MODES:
        raise choice_error('test_cfg.mode', mode, MODES)
    if mode == 'whole':
        return
    for key in ('crop_size', 'stride'):
        pair = test_cfg.get(key)
        if not isinstance(pair, Sequence) or len(pair) != 2 or not all(isinstance(n, int) and n > 0 for n in pair):
            raise UserError(f"test_cfg.{key} of mode 'slide' must be (height, width) in px; got {pair!r}.")
    window, stride = test_cfg['crop_size'], test_cfg['stride']
    if min(window) < MIN_SIDE_PX:
        raise UserError(f'test_cfg.crop_size must be at least {MIN_SIDE_PX} px on both sides; got {tuple(window)}.')
    if any(step > side for step, side in zip(stride, window, strict=True)):
        raise UserError(
            f'test_cfg.stride {tuple(stride)} is larger than crop_size {tuple(window)}: the windows would leave gaps. '
            'Two thirds of the window is usual.'
        )


def window_starts(length: int, window: int, stride: int) -> list[int]:
    """Where windows begin along one side; the last one is moved back so that it ends with the side.

    The same places as in mmseg's ``EncoderDecoder.slide_inference``.

    Args:
        length: of the side.
        window: length of a window; longer than the side means one window that is as long as the side.
        stride: from one window to the next, at most ``window``.
    """
    count = max(length - window + stride - 1, 0) // stride + 1
    return [max(min(index * stride + window, length) - window, 0) for index in range(count)]


def sliding_window_tiles(
    images: Tensor, predict: Callable[[Tensor], Tensor], window: tuple[int, int], stride: tuple[int, int]
) -> Iterator[Tensor]:
    """Logits averaged over overlapping windows, in tiles of whole rows from the top.

    Only the rows of one row of windows are held at a time, and handed out in tiles.

    Args:
        images: (B, 3, H, W).
        predict: (B, 3, h, w) to logits (B, C, h, w).
        window: (height, width); pictures that fit into one window are predicted whole.
        stride: (height, width), at most the window.

    Yields:
        (B, C, n, W), together all H rows.
    """
    height, width = images.shape[2:]
    tops = window_starts(height, window[0], stride[0])
    lefts = window_starts(width, window[1], stride[1])
    window_height, window_width = min(window[0], height), min(window[1], width)
    columns_covered = _coverage(width, lefts, window_width).to(images.device)
    rows_covered = _coverage(height, tops, window_height).to(images.device)
    sums: Tensor | None = None  # of the rows from `top` on
    for top, next_top in zip(tops, [*tops[1:], height], strict=True):
        for left in lefts:
            logits = predict(images[:, :, top : top + window_height, left : left + window_width])
            if sums is None:
                sums = logits.new_zeros((*logits.shape[:2], window_height, width))
            sums[..., left : left + window_width] += logits
        assert sums is not None, 'there is a window in every row of them'
        count = next_top - top
        covered = rows_covered[top:next_top, None] * columns_covered  # (count, W)
        step = max(1, MAX_TILE_ELEMENTS // sums[:, :, 0].numel())
        for first in range(0, count, step):
            last = min(first + step, count)
            yield sums[:, :, first:last] / covered[first:last]
        _move_up(sums, count)


def _move_up(sums: Tensor, count: int) -> None:
    """Drop the first ``count`` rows of (B, C, n, W) and put zeros below the others, in place."""
    kept = sums.shape[2] - count
    for start in range(0, kept, count):  # blocks that do not overlap with where they go
        stop = min(start + count, kept)
        sums[:, :, start:stop] = sums[:, :, start + count : stop + count]
    sums[:, :, kept:] = 0


def _coverage(length: int, starts: list[int], window: int) -> Tensor:
    """How many windows cover each place of a side."""
    counts = torch.zeros(length)
    for start in starts:
        counts[start : start + window] += 1
    return counts


class RowResizer:
    """Bilinear resize of (C, h, w) to (C, H, W), rows in and rows out from top to bottom.

    What ``torch.nn.functional.interpolate`` gives, up to rounding; the same size is exactly the identity.

    Args:
        size: (h, w) of what comes in.
        target: (H, W) of what goes out.
        align_corners: as in ``interpolate``.
    """

    def __init__(self, size: tuple[int, int], target: tuple[int, int], align_corners: bool = False) -> None:
        self.size, self.target, self.align_corners = size, target, align_corners
        self._upper, self._lower, weight = source_neighbours(size[0], target[0], align_corners)
        self._weight = weight.float()  # of the lower row
        self._rows: Tensor | None = None  # rows [_first, _first + n) of the input
        self._first = 0
        self._done = 0  # rows of the output handed out

    def add(self, rows: Tensor) -> Iterator[tuple[int, Tensor]]:
        """Take the next rows and hand out what can be computed with them.

        Args:
            rows: (C, n, w), directly below those of the last call.

        Yields:
            First row and tile (C, m, W) of the output.
        """
        rows = rows if self._rows is None else torch.cat([self._rows, rows], dim=1)  # (C, n, w)
        known = self._first + rows.shape[1]
        ready = int(torch.searchsorted(self._lower, torch.tensor(known)))  # rows below `known` are here
        step = max(1, MAX_TILE_ELEMENTS // (rows.shape[0] * self.target[1]))
        for start in range(self._done, ready, step):
            yield start, self._tile(rows, start, min(start + step, ready))
        self._done = ready
        first_needed = min(int(self._upper[ready]) if ready < self.target[0] else known, known)
        kept = rows[:, first_needed - self._first :]
        self._rows = kept.clone() if kept.shape[1] else None  # a slice would keep all rows alive
        self._first = first_needed

    def _tile(self, rows: Tensor, start: int, stop: int) -> Tensor:
        """Rows [start, stop) of the output, from ``rows`` [_first, _first + n) of the input."""
        if self.size[0] == self.target[0]:
            tile = rows[:, start - self._first : stop - self._first]
        else:
            upper, lower = (
                rows[:, places[start:stop].to(rows.device) - self._first] for places in (self._upper, self._lower)
            )
            tile = torch.lerp(upper, lower, self._weight[start:stop, None].to(upper))
        if self.size[1] == self.target[1]:
            return tile
        size = (stop - start, self.target[1])
        return F.interpolate(tile[None], size=size, mode='bilinear', align_corners=self.align_corners)[0]


def source_neighbours(length: int, target: int, align_corners: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Between which places of the input each place of the output lies, as PyTorch's bilinear interpolation has it.

    Returns:
        Upper and lower neighbour, int64, and the weight of the lower one, double; each of shape (target,).
    """
    place = _source_places(length, target, align_corners)
    upper = place.floor().long()
    return upper, (upper + 1).clamp(max=length - 1), place - upper


def _source_places(length: int, target: int, align_corners: bool) -> Tensor:
    index = torch.arange(target, dtype=torch.float64)
    if align_corners:
        return index * ((length - 1) / (target - 1) if target > 1 else 0.0)
    return ((index + 0.5) * (length / target) - 0.5).clamp(min=0.0, max=length - 1)
