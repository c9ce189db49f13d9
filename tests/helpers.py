"""Sizes and small functions that several test files share."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from effformer_dense.rows import to_arch
from effformer_dense.variants import EDGEVIT_VARIANTS, V1_VARIANTS, V2_VARIANTS, Variant

if TYPE_CHECKING:  # conftest.py needs this file, and pytest-xdist's first process, which runs no test, needs no torch
    import numpy as np
    from mmengine.config import ConfigDict
    from torch import Tensor, nn

PROJECT_ROOT = Path(__file__).resolve().parents[1]
#: What the published code computes (``tests/golden/README.md``).
GOLDEN = PROJECT_ROOT / 'tests' / 'golden'
#: Real pictures, which are not ours to hand on.
SHARED = PROJECT_ROOT.parent / 'shared'

#: What the project tells its readers.
DOCUMENTS = [PROJECT_ROOT / 'README.md', PROJECT_ROOT / 'CONTRIBUTING.md', *sorted(PROJECT_ROOT.glob('docs/*.md'))]

#: (height, width): square, landscape and portrait with odd sides, and the smallest.
SIZES = [(224, 224), (333, 517), (517, 333), (32, 32)]

#: Thin networks with each kind of block once, for what does not depend on a published size.
TINY_V1 = replace(
    V1_VARIANTS['l1'],
    arch='tiny',
    widths=(16, 24, 32, 48),
    depths=(1, 1, 1, 2),
    expansion_ratios=((4,), (4,), (3,), (4, 3)),
    attention_blocks=(0, 0, 0, 1),
)
TINY_V2 = replace(
    V2_VARIANTS['s0'],
    arch='tiny',
    widths=(16, 24, 32, 48),
    depths=(1, 1, 2, 2),
    expansion_ratios=((4,), (4,), (4, 3), (3, 4)),
    attention_blocks=(0, 0, 1, 1),
)
TINY_EDGEVIT = replace(
    EDGEVIT_VARIANTS['xxs'],
    arch='tiny',
    widths=(16, 24, 32, 48),
    depths=(1, 1, 2, 2),
    expansion_ratios=((4,), (4,), (4, 3), (3, 4)),
    attention_blocks=(1, 1, 2, 2),
    head_width=8,
)


def few_shapes(training: int, validation: int) -> str:
    """Lines of a config: its three loaders, of so many pictures; ``{root!r}`` is left to fill in."""
    splits = f'dict(training={training}, validation={validation})'
    return f"""
data_root = {{root!r}}
loader = dict(batch_size=2, num_workers=0, persistent_workers=False,
    dataset=dict(data_root=data_root, shapes=dict(splits={splits}, size_px=64, seed=0)))
train_dataloader = loader
val_dataloader = loader
test_dataloader = val_dataloader
"""


def free_port() -> int:
    """A port of this machine on which nobody listens, for processes to meet at."""
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


def build(variant: Variant, **options) -> nn.Module:
    """Backbone of a row, which need not be one of the published."""
    import effformer_dense

    return getattr(effformer_dense, variant.family)(arch=to_arch(variant), **options)


def randomise(model: nn.Module, seed: int = 0) -> nn.Module:
    """Give a fresh model weights that let every part of it speak.

    Fresh layer scales of 1e-5 and zero bias tables would hide a mistake in any block; batch norm statistics that are
    not 0 and 1 would show a norm that is left out.
    """
    import torch

    generator = torch.Generator().manual_seed(seed)
    draw = lambda tensor: torch.randn(tensor.shape, generator=generator)  # noqa: E731
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if name.endswith('running_var'):
                value.copy_(1 + 0.2 * draw(value).abs())
            elif name.endswith('running_mean'):
                value.copy_(0.1 * draw(value))
            elif 'layer_scale' in name or '.ls1.' in name or '.ls2.' in name:
                value.copy_(0.3 + 0.1 * draw(value))
            elif name.endswith(('bias.table', 'attention_biases')):
                value.copy_(draw(value))
    return model


def plain_backbone(widths: tuple[int, ...] = TINY_V2.widths) -> nn.Module:
    """Four convolutions in place of a network, where what follows it is tested: recording takes a fifth of the time."""
    from torch import nn

    class Plain(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            first = nn.Sequential(nn.Conv2d(3, widths[0], 3, 2, 1), nn.ReLU(), nn.Conv2d(widths[0], widths[0], 3, 2, 1))
            later = [nn.Conv2d(before, after, 3, 2, 1) for before, after in pairwise(widths)]
            self.stages = nn.ModuleList([first, *later])

        def forward(self, x: Tensor) -> tuple[Tensor, ...]:
            maps = []
            for stage in self.stages:
                x = stage(x).relu()
                maps.append(x)
            return tuple(maps)

    return Plain().eval()


def through_onnx(
    graph: nn.Module, example: Mapping[str, Tensor], outputs: tuple[str, ...], path: Path, dynamic: bool = True
) -> Callable[[Mapping[str, np.ndarray]], dict[str, np.ndarray]]:
    """Write a graph as an ONNX file and open it: inputs by name to outputs by name, on one thread."""
    import pytest

    onnxruntime = pytest.importorskip('onnxruntime')
    from effformer_dense.deploy.formats.onnx import OnnxFormat
    from effformer_dense.deploy.record import record

    OnnxFormat().write(record(graph, example, dynamic), path, outputs)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=['CPUExecutionProvider'])
    return lambda inputs: dict(zip(outputs, session.run(outputs, dict(inputs)), strict=True))


def variant_id(variant: Variant) -> str:
    return variant.key


def assert_widths_fit(model: ConfigDict, backbone: nn.Module) -> None:
    """What comes after the backbone, of a detector's or segmentor's config, expects the maps that it gives."""
    taker = model.get('neck') or model.get('panoptic_head') or model.decode_head
    if isinstance(taker.in_channels, int):  # DeepLabV3+ takes the first and the last
        assert (taker.c1_in_channels, taker.in_channels) == backbone.out_channels[:: len(backbone.out_channels) - 1]
    else:
        assert tuple(taker.in_channels) == backbone.out_channels
