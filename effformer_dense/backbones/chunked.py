"""Attention with a bias, computed chunk by chunk of queries: the forward pass, and the backward pass that repeats it.

Letters: ``B`` batch, ``n`` heads, ``Q`` queries, ``N`` keys, ``d`` key width, ``e`` value width, ``g`` images and
``c`` queries of a chunk. Operands come as grids (B, rows, columns, n, width).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor

from .products import bmm, for_products
from .relpos import BiasValues, fold_queries

#: Scores (heads x queries x keys) of one chunk. Every chunk puts keys and values in the order of its products anew, so
#: that few large ones are faster than many that stay in a cache; the limit bounds memory (32 MiB for each of two tiles
#: in single precision, on a CPU; on the meta device, where memory is counted, as there).
CHUNK_SCORES = {'cpu': 2**23, 'meta': 2**23}
#: Scores that training keeps for the backward pass, instead of computing them again chunk by chunk.
KEPT_SCORES = {'cpu': 2**21, 'meta': 2**21}
SCORES_ELSEWHERE = 2**26


@dataclass(frozen=True)
class Chunk:
    """A rectangular part of the query grid, in some images of the batch."""

    images: slice
    rows: slice
    columns: slice
    queries: slice

    @property
    def num_images(self) -> int:
        return self.images.stop - self.images.start


def queries_for(k: Tensor, scores: Mapping[str, int] = CHUNK_SCORES) -> int:
    """With how many queries the keys ``k`` (B, h, w, n, d) have so many scores, by type of device; at least 1."""
    _, height, width, heads, _ = k.shape
    return max(1, scores.get(k.device.type, SCORES_ELSEWHERE) // (heads * height * width))


def _chunks(batch: int, query_size: tuple[int, int], queries: int) -> Iterator[Chunk]:
    """Cut a batch of query grids into equal parts: several images, or rows of one, or parts of a row."""
    height, width = query_size
    for images in equal_parts(batch, queries // (height * width)):
        for rows in equal_parts(height, queries // width):
            for columns in equal_parts(width, queries):
                first, last = rows.start * width + columns.start, (rows.stop - 1) * width + columns.stop
                yield Chunk(images, rows, columns, slice(first, last))


def equal_parts(length: int, at_most: int) -> list[slice]:
    """Cut ``length`` into the fewest parts of equal size (to one) with ``at_most`` each, at least 1; 0 into none."""
    if length == 0:
        return []
    parts = -(-length // min(length, max(1, at_most)))
    edges = [length * part // parts for part in range(parts + 1)]
    return [slice(start, stop) for start, stop in pairwise(edges)]


@dataclass(frozen=True)
class Constants:
    """What attention is computed from besides tensors.

    Attributes:
        scale: factor of the products ``q @ k``.
        stride: step between queries in key cells.
        bias_per_pair: whether the bias holds one value per (query, key) pair, see :class:`.relpos.BiasValues`.
        chunk: queries computed at once; None for as many as have :data:`CHUNK_SCORES`.
    """

    scale: float
    stride: int = 1
    bias_per_pair: bool = False
    chunk: int | None = None


@dataclass(frozen=True)
class Operands:
    """What one attention is computed from.

    Attributes:
        q, k, v: shapes (B, h', w', n, d), (B, h, w, n, d), (B, h, w, n, e).
        bias: ``values`` of a :class:`.relpos.BiasValues`, added after ``mix_scores``.
        mix_scores, mix_weights: talking heads, shape (n, n), or None.
        constants: the rest.
    """

    TENSORS: ClassVar[tuple[str, ...]] = ('q', 'k', 'v', 'bias', 'mix_scores', 'mix_weights')

    q: Tensor
    k: Tensor
    v: Tensor
    bias: Tensor
    mix_scores: Tensor | None
    mix_weights: Tensor | None
    constants: Constants

    @classmethod
    def with_bias(
        cls,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        bias: BiasValues,
        scale: float,
        mixes: tuple[Tensor | None, Tensor | None] = (None, None),
        chunk: int | None = None,
    ) -> Operands:
        """Operands with a bias as :class:`.attention.RelativePositionBias` gives it."""
        return cls(q, k, v, bias.values, *mixes, Constants(scale, bias.stride, bias.per_pair, chunk))

    @classmethod
    def of(cls, tensors: Sequence[Tensor | None], constants: Constants) -> Operands:
        """The inverse of :attr:`tensors`."""
        q, k, v, bias, mix_scores, mix_weights = tensors
        assert q is not None and k is not None and v is not None and bias is not None
        return cls(q, k, v, bias, mix_scores, mix_weights, constants)

    @property
    def tensors(self) -> tuple[Tensor | None, ...]:
        """In the order of :attr:`TENSORS`."""
        return self.q, self.k, self.v, self.bias, self.mix_scores, self.mix_weights

    @property
    def bias_values(self) -> BiasValues:
        _, height, width, _, _ = self.k.shape
        return BiasValues(self.bias, (height, width), self.constants.stride, self.constants.bias_per_pair)

    @property
    def chunk(self) -> int:
        """Queries to compute at once."""
        return self.constants.chunk or queries_for(self.k)

    @property
    def are_kept(self) -> bool:
        """Whether training keeps all scores."""
        return self.q.shape[:3].numel() <= (self.constants.chunk or queries_for(self.k, KEPT_SCORES))


class _Scores:
    """The scores of one call, chunk by chunk, in single precision at least."""

    def __init__(self, operands: Operands) -> None:
        self.operands = operands
        self.q, self.k, self.v = (_tokens(grid) for grid in (operands.q, operands.k, operands.v))
        self.dtype = torch.promote_types(operands.q.dtype, torch.float32)
        self.scale = operands.constants.scale
        self.bias = replace(operands.bias_values, values=operands.bias.to(self.dtype))
        # Scaling a mix of a few heads costs nothing, scaling all scores does.
        self.mix_scores = None if operands.mix_scores is None else operands.mix_scores.to(self.dtype) * self.scale
        self.mix_weights = None if operands.mix_weights is None else operands.mix_weights.to(self.dtype)

    def chunks(self) -> Iterator[Chunk]:
        return _chunks(len(self.q), self.bias.query_size, self.operands.chunk)

    def of(self, part: Chunk, backwards: bool = False) -> tuple[Tensor, Tensor, Tensor]:
        """Queries (g * n, c, d), keys (g * n, N, d) and values (g * n, N, e) of a chunk."""
        queries = self.q[part.images, :, part.queries].flatten(0, 1)
        if backwards:
            queries = queries.flip(1)
        return queries, self.k[part.images].flatten(0, 1), self.v[part.images].flatten(0, 1)

    def probabilities(self, part: Chunk, q: Tensor, k: Tensor, backwards: bool = False) -> tuple[Tensor, Tensor | None]:
        """Softmax of the scores, and the products ``q @ k`` if they were mixed: each (g * n, c, N)."""
        scores = self.bias.part(part.rows, part.columns, backwards)  # (n, c, N)
        if part.num_images > 1:
            scores = scores.repeat(part.num_images, 1, 1)
        if self.mix_scores is None and q.dtype == self.dtype:
            return scores.baddbmm_(q, k.transpose(1, 2), alpha=self.scale).softmax(dim=2), None
        products = torch.bmm(q, k.transpose(1, 2)).to(self.dtype)
        if self.mix_scores is None:
            return scores.add_(products, alpha=self.scale).softmax(dim=2), None
        by_head = (part.num_images, len(self.mix_scores), -1)
        mix = self.mix_scores.expand(part.num_images, -1, -1)
        scores.view(by_head).baddbmm_(mix, products.view(by_head))
        return scores.softmax(dim=2), products


def attend_in_chunks(operands: Operands) -> Tensor:
    """Forward pass: grid (B, h', w', n, e) of the queries, in memory as the values."""
    scores = _Scores(operands)
    grid = empty_output(operands.q, operands.v)
    out = _tokens(grid)
    # Turning queries and results round costs less than turning round the bias, which has a value per pair.
    backwards = not scores.bias.per_pair
    scores.v = for_products(min(operands.chunk, out.shape[2]), scores.v)
    for part in scores.chunks():
        queries, keys, values = scores.of(part, backwards)
        weights = _mix(scores.mix_weights, scores.probabilities(part, queries, keys, backwards)[0])
        mixed = bmm(weights.to(values.dtype), values)  # (g * n, c, e)
        out[part.images, :, part.queries] = (mixed.flip(1) if backwards else mixed).unflatten(0, (part.num_images, -1))
    return grid


def attend_in_chunks_backward(operands: Operands, grad: Tensor) -> tuple[Tensor | None, ...]:
    """Gradients of the operands' tensors, in their order, given that of the result."""
    scores = _Scores(operands)
    gradients, grad = _Gradients(scores), _tokens(grad)
    for part in scores.chunks():
        gradients.add(part, grad)
    return gradients.results()


def _tokens(grid: Tensor) -> Tensor:
    """(B, rows, columns, n, width) to (B, n, rows * columns, width), a view of what was a map or a linear output."""
    return grid.permute(0, 3, 1, 2, 4).flatten(2, 3)


def _mix(matrix: Tensor | None, x: Tensor) -> Tensor:
    """Mix the heads of (g * n, c, N)."""
    if matrix is None:
        return x
    by_head = x.view(-1, len(matrix), x.shape[1] * x.shape[2])
    return torch.bmm(matrix.expand(len(by_head), -1, -1), by_head).view_as(x)


def _mix_gradient(gradient: Tensor, x: Tensor, heads: int) -> Tensor:
    """Gradient of the matrix in ``gradient = d matrix @ x``, both (g * n, c, N): shape (n, n)."""
    by_head = (-1, heads, x.shape[1] * x.shape[2])
    return torch.bmm(gradient.view(by_head), x.view(by_head).transpose(1, 2)).sum(dim=0)


class _Gradients:
    """Sums of gradients over the chunks, in the number type of the scores."""

    def __init__(self, scores: _Scores) -> None:
        self.scores = scores
        operands = scores.operands
        zeros = partial(torch.zeros_like, dtype=scores.dtype)
        self.grids = tuple(zeros(grid) for grid in (operands.q, operands.k, operands.v))
        self.q, self.k, self.v = (_tokens(grid) for grid in self.grids)
        self.bias = zeros(scores.bias.values)
        self.mix_scores = None if scores.mix_scores is None else zeros(scores.mix_scores)
        self.mix_weights = None if scores.mix_weights is None else zeros(scores.mix_weights)

    def add(self, part: Chunk, grad: Tensor) -> None:
        """Add what one chunk of queries contributes; ``grad`` is that of the whole output."""
        scores = self.scores
        queries, keys, values = scores.of(part)
        probabilities, products = scores.probabilities(part, queries, keys)
        grad = grad[part.images, :, part.queries].flatten(0, 1)  # (g * n, c, e)
        grad_weights = torch.bmm(grad, values.transpose(1, 2)).to(scores.dtype)  # (g * n, c, N)
        weights = _mix(scores.mix_weights, probabilities)
        self._into(self.v, part.images, torch.bmm(weights.to(grad.dtype).transpose(1, 2), grad))
        if scores.mix_weights is not None and self.mix_weights is not None:
            self.mix_weights += _mix_gradient(grad_weights, probabilities, len(scores.mix_weights))
            grad_weights = _mix(scores.mix_weights.T, grad_weights)
        grad_scores = _softmax_backward(grad_weights, probabilities)
        self._add_bias(part, grad_scores)
        if scores.mix_scores is None or self.mix_scores is None or products is None:
            grad_products = grad_scores.mul_(scores.scale)
        else:
            self.mix_scores += _mix_gradient(grad_scores, products, len(scores.mix_scores)) * scores.scale
            grad_products = _mix(scores.mix_scores.T, grad_scores)
        grad_products = grad_products.to(queries.dtype)
        self._into(self.q[:, :, part.queries], part.images, torch.bmm(grad_products, keys))
        self._into(self.k, part.images, torch.bmm(grad_products.transpose(1, 2), queries))

    def results(self) -> tuple[Tensor | None, ...]:
        """In the order of the operands; gradients of q, k and v as grids."""
        return *self.grids, self.bias, self.mix_scores, self.mix_weights

    @staticmethod
    def _into(total: Tensor, images: slice, addend: Tensor) -> None:
        total[images] += addend.unflatten(0, (images.stop - images.start, -1))

    def _add_bias(self, part: Chunk, grad_scores: Tensor) -> None:
        """Sum over images; then per pair, or each query's window to its place among the signed offsets."""
        grid = self.scores.bias
        total = grad_scores.unflatten(0, (part.num_images, -1)).sum(0) if part.num_images > 1 else grad_scores
        if grid.per_pair:
            self.bias[:, part.queries] += total
        else:
            fold_queries(total, self.bias, grid.size, grid.stride, part.rows, part.columns)


def _softmax_backward(grad: Tensor, probabilities: Tensor) -> Tensor:
    inner = (grad * probabilities).sum(dim=2, keepdim=True)
    return grad.sub_(inner).mul_(probabilities)


def empty_output(q: Tensor, v: Tensor) -> Tensor:
    """Empty grid (B, rows, columns, n, e) of the queries, channels last or first in memory as ``v`` is."""
    (batch, rows, columns, heads, _), width = q.shape, v.shape[4]
    if v.stride(4) == 1:
        return v.new_empty(batch, rows, columns, heads, width)
    return v.new_empty(batch, heads, width, rows, columns).permute(0, 3, 4, 1, 2)
