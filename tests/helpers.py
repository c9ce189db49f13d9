"""Sizes and small functions that several test files share."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from effformer_dense import EfficientFormerV1, EfficientFormerV2
from effformer_dense.variants import Variant

PROJECT_ROOT = Path(__file__).resolve().parents[1]
#: What the published code computes (``tests/golden/README.md``).
GOLDEN = PROJECT_ROOT / 'tests' / 'golden'
#: Real pictures, which are not ours to hand on.
SHARED = PROJECT_ROOT.parent / 'shared'

#: (height, width): square, landscape and portrait with odd sides, and the smallest.
SIZES = [(224, 224), (333, 517), (517, 333), (32, 32)]


def build(variant: Variant, **options) -> nn.Module:
    """Backbone of a variant."""
    backbone = EfficientFormerV1 if variant.generation == 1 else EfficientFormerV2
    return backbone(arch=variant.arch, **options)


def randomise(model: nn.Module, seed: int = 0) -> nn.Module:
    """Give a fresh model weights that let every part of it speak.

    Fresh layer scales of 1e-5 and zero bias tables would hide a mistake in any block; batch norm statistics that are
    not 0 and 1 would show a norm that is left out.
    """
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


def variant_id(variant: Variant) -> str:
    return f'v{variant.generation}_{variant.arch}'
