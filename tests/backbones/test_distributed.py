"""What DistributedDataParallel asks of a backbone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from effformer_dense import EfficientFormerV1, EfficientFormerV2
from effformer_dense.backbones.base import DenseBackbone


@pytest.fixture
def _process_group(tmp_path: Path) -> Iterator[None]:
    dist.init_process_group('gloo', init_method=f'file://{tmp_path / "store"}', rank=0, world_size=1)
    yield
    dist.destroy_process_group()


@pytest.mark.parametrize('build', [lambda: EfficientFormerV1('l1'), lambda: EfficientFormerV2('s0')], ids=['v1', 'v2'])
def test_a_map_that_the_neck_leaves_out_stops_nothing(build: type[DenseBackbone], _process_group: None) -> None:
    backbone = build().train()
    model = DistributedDataParallel(backbone)
    for _ in range(2):  # it is the second iteration that misses gradients of the first
        _, *used = model(torch.randn(2, 3, 64, 64))
        sum(level.square().mean() for level in used).backward()
    assert all(parameter.grad is not None for parameter in backbone.parameters())
    for norm in [module for name, module in backbone.out_norms.items() if name == '0']:
        assert not norm.weight.grad.any() and not norm.bias.grad.any()


def test_maps_are_the_same_to_the_bit(_process_group: None, monkeypatch: pytest.MonkeyPatch) -> None:
    backbone = EfficientFormerV1('l1', norm_eval=True, drop_path_rate=0.0).train()
    nn.init.normal_(backbone.out_norms['3'].bias)
    images = torch.randn(1, 3, 64, 64)
    distributed = backbone(images)
    monkeypatch.setattr(dist, 'is_initialized', lambda: False)
    for mine, other in zip(distributed, backbone(images), strict=True):
        assert torch.equal(mine, other)
