"""Contenders for bringing a table of offsets to another grid: where each offset looks, and how it reads.

A mode is a pair of functions, one row of :data:`MODES`:

* a map from each offset of the target axis, 0 to ``target - 1``, to a coordinate between 0 and ``source - 1`` on the
  table's axis;
* an interpolation: weights of the samples around that coordinate.

Rows and columns are mapped independently. Sizes may be symbols, of a program that holds for every size: no map asks
Python which one is larger. On the table's own size every map is exactly the identity.

Letters: ``R`` side of the table (source), ``T`` side of the target, ``d`` offset, ``x`` coordinate.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

#: ``(source, target, like)`` to coordinates of the offsets, shape (target,), dtype and device of ``like``.
OffsetMap = Callable[[int, int, Tensor], Tensor]
#: Distances of samples from the coordinate, any shape, to their weights.
Interpolation = Callable[[Tensor], Tensor]

# Keys' cubic convolution coefficient, the one torch.nn.functional.interpolate uses.
_CUBIC_A = -0.75
#: Newton steps for the quotient of the progression. For R from 3 to 50 and T up to 1000, the last sample stands where
#: it should, to the rounding of single precision, after 4 (measured).
_NEWTON_STEPS = 6
#: Coordinates this near a sample are meant to be on it: what logarithms leave of whole numbers.
_ROUNDING = 1e-4


def stretch(source: int, target: int, like: Tensor) -> Tensor:
    """``x = d (R - 1) / (T - 1)``: the farthest offset meets the farthest, all others in proportion."""
    # Of a length that is not known, max() would ask which one is larger.
    largest = torch.sym_max if isinstance(target, torch.SymInt) else max
    step = (source - 1) / largest(target - 1, 1)
    return _offsets(target, like) * step


def clamp(source: int, target: int, like: Tensor) -> Tensor:
    """``x = min(d, R - 1)``: an offset in cells is what it was in training; beyond the table, its edge."""
    return _offsets(target, like).clamp(max=source - 1)


def logarithmic(source: int, target: int, like: Tensor) -> Tensor:
    """``log(1 + x) / log R = log(1 + d) / log T``: proportional in log(1 + d), the coordinate of Swin V2.

    Table 1 of arXiv 2111.09883 has a bias continuous in that coordinate. The farthest offset meets the farthest, in
    either direction of resizing. On larger grids ``x`` grows fastest near 0: where 24 offsets meet 6, the first nine
    take half of the table, of which :func:`stretch` gives them three eighths.
    """
    offsets = _offsets(target, like).log1p()
    share = offsets / offsets.max().clamp(min=_ROUNDING)  # a single cell has offset 0 alone
    return _on_samples((share * math.log(source)).expm1())


def geometric(source: int, target: int, like: Tensor) -> Tensor:
    """Samples of the table stand at offsets 0, 1, 1 + q, 1 + q + q^2, ...; in between, in proportion.

    The quotient ``q`` is that with which the last sample stands at the farthest offset, as in the code of BEiT (arXiv
    2106.08254, its issue 376): offset 1 keeps its value, and samples stand farther apart the farther out they are.
    Grids no larger than the table have ``q = 1``: every offset keeps its value. So has a table of one or two samples,
    which no quotient spreads; its edge goes on.
    """
    if source < 3:
        return clamp(source, target, like)
    offsets = _offsets(target, like)
    powers = _offsets(source - 1, like) * _log_quotient(source, offsets.max())
    gaps = powers.exp()  # (R - 1,)
    starts = gaps.cumsum(0) - gaps
    passed = (offsets[:, None] - starts) / gaps  # (T, R - 1): how far past each sample, in gaps
    return _on_samples(passed.clamp(0, 1).sum(1))


def _log_quotient(source: int, farthest: Tensor) -> Tensor:
    """``log q`` with ``1 + q + ... + q^(R - 2) = farthest``, or 0 where the table reaches as far.

    The logarithm of the sum is convex in ``log q`` and increases: Newton's steps converge from anywhere on the right.
    """
    exponents = _offsets(source - 1, farthest)
    wanted = farthest.clamp(min=source - 1).log()
    log_quotient = torch.zeros_like(wanted)
    for _ in range(_NEWTON_STEPS):
        powers = exponents * log_quotient
        slope = (powers.softmax(0) * exponents).sum()
        log_quotient = log_quotient - (powers.logsumexp(0) - wanted) / slope
    return log_quotient


def _offsets(length: int, like: Tensor) -> Tensor:
    return torch.arange(length, device=like.device, dtype=like.dtype)


def _on_samples(coordinates: Tensor) -> Tensor:
    nearest = coordinates.round()
    return torch.where((coordinates - nearest).abs() < _ROUNDING, nearest, coordinates)


def linear(distance: Tensor) -> Tensor:
    """The two samples beside the coordinate: what is monotone stays monotone."""
    return (1 - distance).clamp(min=0)


def cubic(distance: Tensor) -> Tensor:
    """Four samples, by cubic convolution: smooth; it overshoots beside steps."""
    inner = ((_CUBIC_A + 2) * distance - (_CUBIC_A + 3)) * distance**2 + 1
    outer = ((distance - 5) * distance + 8) * distance * _CUBIC_A - 4 * _CUBIC_A
    return torch.where(distance <= 1, inner, torch.where(distance < 2, outer, torch.zeros_like(distance)))


def nothing(distance: Tensor) -> Tensor:
    """No sample: a bias of zero. For studies of what the bias is worth."""
    return torch.zeros_like(distance)


#: What the rule of decision of the study named (docs/resolution.md).
DEFAULT_MODE = 'geometric'
#: A contender is a row. ``'zero'`` is for studies.
MODES: dict[str, tuple[OffsetMap, Interpolation]] = {
    'bicubic': (stretch, cubic),
    'bilinear': (stretch, linear),
    'clamp': (clamp, linear),
    'geometric': (geometric, linear),
    'log': (logarithmic, linear),
    'zero': (clamp, nothing),
}


def interpolation_matrix(source: int, target: int, mode: str, like: Tensor) -> Tensor:
    """Weights of the ``source`` samples for each of ``target`` offsets: shape (target, source)."""
    offset_map, interpolation = MODES[mode]
    position = offset_map(source, target, like)
    taps = torch.arange(-1, 3, device=like.device)
    distance = (position - position.floor())[:, None] - taps  # (target, 4)
    weights = interpolation(distance.abs())
    # Taps past an edge count for the edge sample.
    sample = (position.floor().long()[:, None] + taps).clamp(0, source - 1)  # (target, 4)
    hits = sample[:, :, None] == torch.arange(source, device=like.device)  # (target, 4, source)
    return torch.einsum('tk,tks->ts', weights, hits.to(weights))
