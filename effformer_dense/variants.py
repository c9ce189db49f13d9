"""Networks as rows: the published sizes, and any other of the same families.

Widths, depths and expansion ratios of the published ones are those of the papers' configuration tables
(V1: arXiv 2206.01191, appendix; V2: arXiv 2212.08059, appendix; EdgeViT: its published code, arXiv 2205.03436);
drop path rates are those of the published dense-prediction recipes, EdgeViT's that of its code.
"""

from __future__ import annotations

from dataclasses import dataclass

#: Smallest side of a picture: what the stride of the last map leaves one value of.
MIN_SIDE_PX = 32
#: Largest: JPEG holds no more.
MAX_SIDE_PX = 65_535
#: Of the stages' maps. Published networks have the first four.
STRIDES = (4, 8, 16, 32, 64)
#: What mixes neighbouring cells in V2's blocks: V1's pooling, a 3 x 3 depth-wise convolution of its own in the place of
#: pooling, or one inside the feed-forward network. The last is V2 (arXiv 2212.08059, table 1, for all three).
LOCAL_MIXERS = ('pool', 'depthwise', 'ffn')

V1, V2, EDGEVIT = 'EfficientFormerV1', 'EfficientFormerV2', 'EdgeViT'
SHORT_NAMES = {V1: 'v1', V2: 'v2', EDGEVIT: 'edgevit'}


@dataclass(frozen=True)
class Variant:
    """One row: a network.

    Attributes:
        family: the backbone's class, as configs name it in ``type``.
        arch: key of a published size, as given to the backbone's ``arch`` argument; of any other row what its widths
            and depths are.
        widths: channels of the stages, four or five.
        depths: blocks in each stage.
        expansion_ratios: per stage and block, hidden width of the MLP over its input width.
        attention_blocks: per stage, how many of its last blocks attend. EdgeViT: all.
        drop_path_rate: stochastic depth rate of the last block; blocks before it scale linearly.
        timm_name: name of the published ImageNet weights, with their tag; None where timm has none.
        attention_downsample: of V2: whether the step from 1/16 to 1/32 has a path of attention.
        local_mixer: of V2: one of :data:`LOCAL_MIXERS`.
        local_value: of V2: whether attention has a depth-wise convolution of its values.
        talking_heads: of V2: whether attention mixes its heads.
        stride_attention: of V2: whether attention at 1/16 runs on the grid of 1/32.
        sampling_rates: of EdgeViT, per stage: every so many cells, one attends for all.
        head_width: of EdgeViT, channels of an attention head.
    """

    family: str
    arch: str
    widths: tuple[int, ...]
    depths: tuple[int, ...]
    expansion_ratios: tuple[tuple[int, ...], ...]
    attention_blocks: tuple[int, ...]
    drop_path_rate: float = 0.0
    timm_name: str | None = None
    attention_downsample: bool = True
    local_mixer: str = 'ffn'
    local_value: bool = True
    talking_heads: bool = True
    stride_attention: bool = True
    sampling_rates: tuple[int, ...] = (1, 1, 1, 1)
    head_width: int = 0

    @property
    def name(self) -> str:
        """Name for messages, for example ``EfficientFormerV2 s0``."""
        return f'{self.family} {self.arch}'

    @property
    def key(self) -> str:
        """Name for commands, files and tables, for example ``v2_s0``."""
        return f'{SHORT_NAMES[self.family]}_{self.arch}'


def _v1(arch: str, widths: tuple, depths: tuple, num_attention_blocks: int) -> Variant:
    ratios = tuple((4,) * depth for depth in depths)
    timm_name = f'efficientformer_{arch}.snap_dist_in1k'
    return Variant(V1, arch, widths, depths, ratios, (0, 0, 0, num_attention_blocks), 0.0, timm_name)


def _v2(
    arch: str,
    widths: tuple,
    late_ratios: tuple[str, str],
    stage_1_and_2_depth: int,
    num_attention_blocks: int,
    drop_path_rate: float,
) -> Variant:
    """Ratios of stages 3 and 4 were searched per block: one digit per block. As many blocks attend in both."""
    early = (4,) * stage_1_and_2_depth
    ratios = (early, early, *(tuple(int(digit) for digit in row) for row in late_ratios))
    depths = tuple(map(len, ratios))
    attention = (0, 0, num_attention_blocks, num_attention_blocks)
    timm_name = f'efficientformerv2_{arch}.snap_dist_in1k'
    return Variant(V2, arch, widths, depths, ratios, attention, drop_path_rate, timm_name)


def _edgevit(arch: str, widths: tuple, depths: tuple, head_width: int) -> Variant:
    ratios = tuple((4,) * depth for depth in depths)
    return Variant(EDGEVIT, arch, widths, depths, ratios, depths, sampling_rates=(4, 2, 2, 1), head_width=head_width)


V1_VARIANTS: dict[str, Variant] = {
    row.arch: row
    for row in (
        _v1('l1', (48, 96, 224, 448), (3, 2, 6, 4), 1),
        _v1('l3', (64, 128, 320, 512), (4, 4, 12, 6), 4),
        _v1('l7', (96, 192, 384, 768), (6, 6, 18, 8), 8),
    )
}

V2_VARIANTS: dict[str, Variant] = {
    row.arch: row
    for row in (
        _v2('s0', (32, 48, 96, 176), ('433344', '4334'), 2, 2, 0.0),
        _v2('s1', (32, 48, 120, 224), ('443333444', '443344'), 3, 2, 0.0),
        _v2('s2', (32, 64, 144, 288), ('443333334444', '44333344'), 4, 4, 0.02),
        _v2('l', (40, 80, 192, 384), ('444433333334444', '4443333444'), 5, 6, 0.1),
    )
}

EDGEVIT_VARIANTS: dict[str, Variant] = {
    row.arch: row
    for row in (
        _edgevit('xxs', (36, 72, 144, 288), (1, 1, 3, 2), 36),
        _edgevit('xs', (48, 96, 240, 384), (1, 1, 3, 1), 48),
        _edgevit('s', (48, 96, 240, 384), (1, 2, 5, 3), 48),
    )
}

ALL_VARIANTS: tuple[Variant, ...] = (*V1_VARIANTS.values(), *V2_VARIANTS.values(), *EDGEVIT_VARIANTS.values())
