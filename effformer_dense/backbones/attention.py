"""The three attention blocks of the family and the bias module they share.

Letters: ``B`` batch, ``n`` heads, ``h, w`` grid of keys, ``h', w'`` grid of queries, ``d`` key width, ``e``
value width.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .attend import attend
from .chunked import Operands
from .layers import ConvNorm
from .norm_gelu import activate
from .options import AttentionOptions
from .recorded import recorded_bias
from .relpos import BiasValues, bias_values, no_autocast, resize_table
from .scale import ScoreScale
from .tracing import has_values, is_recording, merge, wants_standard_operators


class RelativePositionBias(nn.Module):
    """Learnable bias table, brought to the grid at hand.

    In evaluation on a CPU what was computed for the last few sizes is kept. An entry is used only while the table, and
    the mix if there is one, still hold the very values it was computed from, compared value by value: any way of
    changing weights (optimiser, EMA swap through ``.data``, ``load_state_dict``, ``.half()``) therefore takes effect at
    once. On accelerators that comparison would make the host wait, and computing costs less; nothing is kept there.

    Args:
        num_heads: attention heads.
        grid: side of the base grid in key cells.
        resize: one of ``relpos.RESIZE_MODES``.
        query_stride: step between queries in key cells.
    """

    _CACHED_SIZES = 4
    #: Up to so many, values of all pairs are kept, instead of looking them up in each forward pass: 2 MiB.
    _CACHED_PAIRS = 2**19

    def __init__(self, num_heads: int, grid: int, resize: str, query_stride: int = 1) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.zeros(num_heads, grid, grid))
        self.resize = resize
        self.query_stride = query_stride
        self._cache: dict[tuple, tuple[list[Tensor], BiasValues]] = {}

    def forward(self, height: int, width: int, mix: nn.Conv2d | None = None) -> BiasValues:
        """What the bias of ``height x width`` keys is computed from, after a ``mix`` of heads by a 1x1 convolution."""
        table: Tensor = self.table
        if is_recording():
            return self._compute(_mixed(table, mix), height, width)
        if torch.is_grad_enabled() or self.training or table.device.type != 'cpu' or not has_values(table):
            self._cache.clear()
            return self._compute(_mixed(table, mix), height, width)
        sources = [table, *([] if mix is None else mix.parameters())]
        key = (height, width, *(source.dtype for source in sources))
        hit = self._cache.pop(key, None)
        if hit is None or not all(map(torch.equal, hit[0], sources)):
            values = self._compute(_mixed(table, mix), height, width).expanded(self._CACHED_PAIRS)
            hit = ([source.detach().clone() for source in sources], values)
        self._cache[key] = hit  # last used, last in order
        for oldest in list(self._cache)[: -self._CACHED_SIZES]:
            self._cache.pop(oldest, None)  # another thread may have done so
        return hit[1]

    def _compute(self, table: Tensor, height: int, width: int) -> BiasValues:
        size = height, width
        if wants_standard_operators():
            return recorded_bias(table, size, self.resize, self.query_stride)
        return bias_values(table, size, self.resize, self.query_stride)

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args) -> None:
        """Resize a table that was learned on another grid, then load as usual."""
        key = prefix + 'table'
        loaded = state_dict.get(key)
        if loaded is not None and loaded.dim() == 3 and loaded.shape != self.table.shape:
            # A matrix is no table, and with zeros what was loaded would be lost.
            mode = 'bicubic' if self.resize in ('matrix', 'zero') else self.resize
            _, height, width = self.table.shape
            state_dict[key] = resize_table(loaded, (height, width), mode)
        self._cache.clear()
        super()._load_from_state_dict(state_dict, prefix, *args)

    def _apply(self, *args, **kwargs) -> RelativePositionBias:
        self._cache.clear()
        return super()._apply(*args, **kwargs)

    def _replicate_for_data_parallel(self) -> RelativePositionBias:
        replica = super()._replicate_for_data_parallel()
        replica._cache = {}  # replicas run in threads of their own
        return replica

    def __getstate__(self) -> dict:
        return {**self.__dict__, '_cache': {}}

    def extra_repr(self) -> str:
        return f'table={tuple(self.table.shape)}, resize={self.resize!r}, query_stride={self.query_stride}'


class TokenAttention(nn.Module):
    """V1 attention on tokens (arXiv 2206.01191, "Dimension-consistent design").

    Args:
        channels: width of the tokens.
        options: of its bias and its computation.
        num_heads, key_dim, value_dim: 8 heads of 32 (queries, keys) and 128 (values) in every size.
    """

    def __init__(
        self,
        channels: int,
        options: AttentionOptions,
        num_heads: int = 8,
        key_dim: int = 32,
        value_dim: int = 128,
    ) -> None:
        super().__init__()
        self.num_heads, self.key_dim, self.value_dim, self.chunk = num_heads, key_dim, value_dim, options.chunk
        self.score_scale = ScoreScale.of(key_dim, options)
        self.qkv = nn.Linear(channels, num_heads * (2 * key_dim + value_dim))
        self.proj = nn.Linear(num_heads * value_dim, channels)
        self.bias = RelativePositionBias(num_heads, options.bias_grid, options.bias_resize)

    def forward(self, tokens: Tensor) -> Tensor:
        """Grid of tokens (B, h, w, C) to the same shape."""
        qkv = self.qkv(tokens).unflatten(3, (self.num_heads, -1))  # (B, h, w, n, 2d + e)
        q, k, v = qkv.split([self.key_dim, self.key_dim, self.value_dim], dim=4)
        h, w = tokens.shape[1:3]
        q, factor = self.score_scale.divide(q, h * w)
        mixed = attend(Operands.with_bias(q, k, v, self.bias(h, w), factor, chunk=self.chunk))  # (B, h, w, n, e)
        return self.proj(merge(mixed, 3, 4))


class TalkingHead(nn.Conv2d):
    """A matrix over heads and its bias, as published weights have it; attention takes both, nobody calls it."""


class MapAttention(nn.Module):
    """V2 attention on maps with talking heads and local V branch (arXiv 2212.08059, "MHSA improvements").

    With ``stride=2`` it is the stride attention of the 1/16 stage ("Attention on higher resolution"): tokens attend on
    the halved grid, and the result is upsampled back. Sides may be odd: the halved grid has ``ceil(side / 2)`` cells,
    and what upsampling adds past the edge is cut off, so that cells keep the places they have on even sides.

    The second talking head adds a bias to all weights of a head, after the softmax: their sum, which was 1, grows with
    the number of keys, and so do the features. ``talking_bias='mean'`` has it as large everywhere as on the grid of
    the bias table: the sum of all values gives way to their mean, times the cells of that grid.

    Args:
        channels: width of the map.
        norm_cfg: see :func:`layers.build_norm`.
        options: of its bias and its computation.
        stride: 1 or 2.
        talking_heads, local_value: whether there are these two, which the paper adds in one step (table 1).
        num_heads, key_dim, value_dim: 8 heads of 32 (queries, keys) and 128 (values) in every size.
    """

    def __init__(
        self,
        channels: int,
        norm_cfg: dict,
        options: AttentionOptions,
        stride: int = 1,
        talking_heads: bool = True,
        local_value: bool = True,
        num_heads: int = 8,
        key_dim: int = 32,
        value_dim: int = 128,
    ) -> None:
        super().__init__()
        self.num_heads, self.stride, self.chunk = num_heads, stride, options.chunk
        self.score_scale = ScoreScale.of(key_dim, options)
        self.base_tokens = options.bias_grid**2 if options.talking_bias == 'mean' else None
        width = num_heads * value_dim
        self.stride_conv = (
            ConvNorm(channels, channels, norm_cfg, kernel_size=3, stride=stride, groups=channels)
            if stride > 1
            else None
        )
        self.q = ConvNorm(channels, num_heads * key_dim, norm_cfg)
        self.k = ConvNorm(channels, num_heads * key_dim, norm_cfg)
        self.v = ConvNorm(channels, width, norm_cfg)
        self.v_local = ConvNorm(width, width, norm_cfg, kernel_size=3, groups=width) if local_value else None
        self.talking_head1 = TalkingHead(num_heads, num_heads, kernel_size=1) if talking_heads else None
        self.talking_head2 = TalkingHead(num_heads, num_heads, kernel_size=1) if talking_heads else None
        self.activation = nn.GELU()
        self.proj = ConvNorm(width, channels, norm_cfg)
        self.bias = RelativePositionBias(num_heads, options.bias_grid, options.bias_resize)

    def forward(self, x: Tensor, scale: Tensor | None = None) -> Tensor:
        """Map (B, C, H, W) to the same shape, times a factor per channel ``scale``, shape (C,)."""
        size = x.shape[2:]
        if self.stride_conv is not None:
            x = self.stride_conv(x)
        h, w = x.shape[2:]
        values = self.v(x)
        q, k, v = (_split_heads(part, self.num_heads) for part in (self.q(x), self.k(x), values))
        mixes = _matrix(self.talking_head1), _matrix(self.talking_head2)
        q, factor = self.score_scale.divide(q, h * w)
        bias = self.bias(h, w, mix=self.talking_head1)
        mixed = attend(Operands.with_bias(q, k, v, bias, factor, mixes, self.chunk))  # (B, h, w, n, e)
        if self.talking_head2 is not None:
            # Its bias adds one number to all weights of a head: so much of the sum of its values.
            assert self.talking_head2.bias is not None
            everywhere = self.talking_head2.bias[:, None] * self._total(v)  # (B, 1, 1, n, e)
            mixed = mixed + everywhere.to(mixed.dtype)
        out = _join_heads(mixed)
        if self.v_local is not None:
            out = out + self.v_local(values)
        if self.stride_conv is not None:
            size_above = (self.stride * h, self.stride * w)
            out = F.interpolate(out, size_above, mode='bilinear', align_corners=False)
            if is_recording() or size_above != size:
                out = out.narrow(2, 0, size[0]).narrow(3, 0, size[1])
            if is_recording():  # or a graph would hold for even sizes alone, or for odd ones
                out = out.clone(memory_format=torch.contiguous_format)
        out = activate(out, self.activation)
        return self.proj(out) if scale is None else self.proj(out, scale)

    def _total(self, v: Tensor) -> Tensor:
        """What each head's bias is multiplied by: from (B, h, w, n, e), in single precision at least."""
        over: dict[str, Any] = dict(dim=(1, 2), keepdim=True, dtype=torch.promote_types(v.dtype, torch.float32))
        return v.sum(**over) if self.base_tokens is None else v.mean(**over) * self.base_tokens


class LocalGlobalQuery(nn.Module):
    """Queries of the attention downsampling: every second cell plus a strided depth-wise convolution."""

    def __init__(self, in_channels: int, out_channels: int, norm_cfg: dict) -> None:
        super().__init__()
        self.local = nn.Conv2d(in_channels, in_channels, kernel_size=3, stride=2, padding=1, groups=in_channels)
        self.proj = ConvNorm(in_channels, out_channels, norm_cfg)

    def forward(self, x: Tensor) -> Tensor:
        return self.proj(self.local(x) + x[:, :, ::2, ::2])


class DownsamplingAttention(nn.Module):
    """Attention from every cell of a map to the map of half its sides.

    One of the two paths of arXiv 2212.08059, "Dual-path attention downsampling".

    Args:
        in_channels, out_channels: widths before and after.
        norm_cfg: see :func:`layers.build_norm`.
        options: of its bias, whose grid is that of the keys, and its computation.
        num_heads, key_dim, value_dim: 8 heads of 16 (queries, keys) and 64 (values) in every size.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        norm_cfg: dict,
        options: AttentionOptions,
        num_heads: int = 8,
        key_dim: int = 16,
        value_dim: int = 64,
    ) -> None:
        super().__init__()
        self.num_heads, self.chunk = num_heads, options.chunk
        self.score_scale = ScoreScale.of(key_dim, options)
        width = num_heads * value_dim
        self.q = LocalGlobalQuery(in_channels, num_heads * key_dim, norm_cfg)
        self.k = ConvNorm(in_channels, num_heads * key_dim, norm_cfg)
        self.v = ConvNorm(in_channels, width, norm_cfg)
        self.v_local = ConvNorm(width, width, norm_cfg, kernel_size=3, stride=2, groups=width)
        self.activation = nn.GELU()
        self.proj = ConvNorm(width, out_channels, norm_cfg)
        self.bias = RelativePositionBias(num_heads, options.bias_grid, options.bias_resize, query_stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C', ceil(H / 2), ceil(W / 2))."""
        values = self.v(x)
        q, k, v = (_split_heads(part, self.num_heads) for part in (self.q(x), self.k(x), values))
        h, w = x.shape[2:]
        q, factor = self.score_scale.divide(q, h * w)
        mixed = attend(Operands.with_bias(q, k, v, self.bias(h, w), factor, chunk=self.chunk))  # (B, h', w', n, e)
        return self.proj(activate(_join_heads(mixed) + self.v_local(values), self.activation))


class DualPathDownsample(nn.Module):
    """V2's step from 1/16 to 1/32: strided convolution plus downsampling attention."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        norm_cfg: dict,
        options: AttentionOptions,
    ) -> None:
        super().__init__()
        self.conv = ConvNorm(in_channels, out_channels, norm_cfg, kernel_size=3, stride=2)
        self.attention = DownsamplingAttention(in_channels, out_channels, norm_cfg, options)

    def forward(self, x: Tensor) -> Tensor:
        return self.attention(x) + self.conv(x)


def _mixed(table: Tensor, mix: nn.Conv2d | None) -> Tensor:
    """A bias table after a mix of heads, which costs nothing there: resizing and looking up keep constants and sums."""
    if mix is None:
        return table
    assert mix.bias is not None
    with no_autocast(table):
        return (mix.weight[:, :, 0, 0] @ table.flatten(1) + mix.bias[:, None]).unflatten(1, table.shape[1:])


def _matrix(talking_head: TalkingHead | None) -> Tensor | None:
    return None if talking_head is None else talking_head.weight[:, :, 0, 0]


def _split_heads(x: Tensor, num_heads: int) -> Tensor:
    """Map (B, n * d, h, w) to grid (B, h, w, n, d); the gradient is laid out in memory as the map."""
    if x.is_contiguous():
        return x.unflatten(1, (num_heads, -1)).permute(0, 3, 4, 1, 2)
    return x.permute(0, 2, 3, 1).unflatten(3, (num_heads, -1))


def _join_heads(grid: Tensor) -> Tensor:
    """Grid (B, h, w, n, e) to map (B, n * e, h, w)."""
    return merge(grid.permute(0, 3, 4, 1, 2), 1, 2)
