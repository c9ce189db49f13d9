"""Equal weights give timm's features; timm's names give timm's weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import timm
import torch
from mmengine.runner import CheckpointLoader
from safetensors.torch import save_file

from effformer_dense.checkpoint import fetch_timm
from effformer_dense.checkpoint.hub import full_name, manual_path
from effformer_dense.variants import V2_VARIANTS, Variant
from tests.helpers import build, randomise


def _timm_model(variant: Variant) -> torch.nn.Module:
    return randomise(timm.create_model(variant.timm_name.split('.')[0])).eval()


def test_features_equal_those_of_timm_at_224_px(efficientformer: Variant) -> None:
    reference = _timm_model(efficientformer)
    net = build(efficientformer, out_norm=False).eval()
    net.load_state_dict(reference.state_dict())
    images = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        expected = reference.forward_intermediates(images, intermediates_only=True)
        for ours, theirs in zip(net(images), expected, strict=True):
            assert ours.shape == theirs.shape
            assert float((ours - theirs).abs().max() / theirs.std()) < 1e-5


def test_pretrained_start_by_name_from_the_hub_cache(
    efficientformer: Variant, hub_snapshot: Callable[[str], Path]
) -> None:
    name = efficientformer.timm_name
    state = {key: value.clone().contiguous() for key, value in _timm_model(efficientformer).state_dict().items()}
    save_file(state, hub_snapshot(f'timm/{name}') / 'model.safetensors')
    net = build(efficientformer, out_norm=False, init_cfg=dict(type='Pretrained', checkpoint=f'timm://{name}'))
    net.init_weights()
    by_hand = build(efficientformer, out_norm=False)
    by_hand.load_state_dict(state)
    loaded = net.state_dict()
    assert all(torch.equal(value, loaded[key]) for key, value in by_hand.state_dict().items())


def test_file_put_by_hand_is_found_first(offline: Path) -> None:
    row = V2_VARIANTS['s0']
    path = manual_path(row.timm_name)
    path.parent.mkdir(parents=True)
    save_file({'stem.conv1.bn.weight': torch.ones(16)}, path)
    assert fetch_timm('efficientformerv2_s0') == path
    assert set(CheckpointLoader.load_checkpoint(f'timm://{row.timm_name}')) == {'stem.conv1.bn.weight'}


def test_without_network_the_error_says_which_file_to_put_where(offline: Path) -> None:
    name = V2_VARIANTS['l'].timm_name
    with pytest.raises(FileNotFoundError) as caught:
        fetch_timm(name)
    message = str(caught.value)
    assert f'https://huggingface.co/timm/{name}/resolve/main/model.safetensors' in message
    assert str(manual_path(name)) in message
    assert '--from-scratch' in message


def test_any_failure_of_the_network_says_so_too(offline: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class ProxyError(Exception):
        """As HTTP clients raise it: no OSError, no error of the hub library."""

    def fail(*_: object, **__: object) -> None:
        raise ProxyError

    monkeypatch.setattr('huggingface_hub.hf_hub_download', fail)
    with pytest.raises(FileNotFoundError, match=r'could not be downloaded \(ProxyError\)'):
        fetch_timm('efficientformerv2_s0')


def test_a_name_may_leave_out_its_tag_and_a_wrong_one_gets_a_hint() -> None:
    assert full_name('efficientformer_l1') == 'efficientformer_l1.snap_dist_in1k'
    with pytest.raises(ValueError, match=r"Did you mean 'efficientformerv2_s0.snap_dist_in1k'"):
        full_name('efficientformerv2_s0.snap_dist')


def test_truncated_file_is_named(offline: Path) -> None:
    path = manual_path('efficientformerv2_s0')
    path.parent.mkdir(parents=True)
    path.write_bytes(b'\x10\x00\x00\x00')
    with pytest.raises(ValueError, match='no readable checkpoint'):
        CheckpointLoader.load_checkpoint('timm://efficientformerv2_s0')
