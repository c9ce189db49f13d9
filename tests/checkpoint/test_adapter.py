"""What loading says and refuses."""

from __future__ import annotations

import logging

import pytest
import torch
from torch import nn

from effformer_dense import EdgeViT, EfficientFormerV1, EfficientFormerV2
from effformer_dense.backbones.relpos import resize_table
from effformer_dense.checkpoint import Layout, adapter, detect_layout, identify_variant, load_report, to_native
from effformer_dense.variants import Variant
from tests.helpers import build, randomise


def test_variant_is_identified_from_weights(variant: Variant) -> None:
    assert identify_variant(build(variant).state_dict()) == variant


def test_native_layout_is_recognised_and_left_alone() -> None:
    state = EfficientFormerV2('s0').state_dict()
    assert detect_layout(state) is Layout.NATIVE
    native, ignored = to_native(state)
    assert list(native) == list(state) and ignored == {}


def test_unknown_layout_names_its_first_keys() -> None:
    with pytest.raises(ValueError, match=r'layer1\.0\.conv1\.weight'):
        to_native({'layer1.0.conv1.weight': torch.ones(1)})


@pytest.mark.parametrize('strict', [True, False])
def test_weights_of_another_variant_are_refused_by_name(strict: bool) -> None:
    with pytest.raises(ValueError, match=r"EfficientFormerV2 s1, and the backbone is EfficientFormerV2 s0.*arch='s1'"):
        EfficientFormerV2('s0').load_state_dict(EfficientFormerV2('s1').state_dict(), strict=strict)
    with pytest.raises(ValueError, match="type='EfficientFormerV1'"):
        EfficientFormerV2('s0').load_state_dict(EfficientFormerV1('l1').state_dict(), strict=strict)


@pytest.mark.parametrize(
    ('kind', 'arch'),
    [
        (EfficientFormerV2, dict(base='s0', expansion_ratios=3)),
        (EfficientFormerV2, dict(base='s2', stride_attention=False)),
        (EfficientFormerV2, dict(base='s0', talking_heads=False)),
    ],
)
def test_a_network_of_ones_own_takes_its_weights_back(kind: type, arch: dict) -> None:
    """It has the widths and depths of a published one."""
    state = randomise(kind(arch)).state_dict()
    fresh = kind(arch)
    fresh.load_state_dict(state)
    assert all(torch.equal(value, fresh.state_dict()[name]) for name, value in state.items())
    with pytest.raises(ValueError, match=f"and the backbone is .*arch='{arch['base']}'"):
        fresh.load_state_dict(kind(arch['base']).state_dict())


def test_weights_that_fit_a_published_network_as_well_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The width of heads is in no entry."""
    told: list[str] = []
    monkeypatch.setattr(adapter, 'print_log', lambda text, **_: told.append(text))
    state = EdgeViT('xs').state_dict()
    EdgeViT('xs').load_state_dict(state)
    assert not any('as well as' in text for text in told)
    EdgeViT(dict(base='xs', head_width=24)).load_state_dict(state)
    assert any(text.startswith('These weights fit EdgeViT xs as well as EdgeViT') for text in told)


def test_shapes_that_do_not_fit_are_refused_even_without_strict() -> None:
    state = EfficientFormerV2('s0').state_dict()
    state['stages.0.blocks.0.mlp.fc1.conv.weight'] = torch.ones(2, 2, 1, 1)
    with pytest.raises(ValueError, match=r'1 of another shape \(stages.0.blocks.0.mlp.fc1.conv.weight \(2, 2, 1, 1\)'):
        EfficientFormerV2('s0').load_state_dict(state, strict=False)


def test_backbone_inside_a_larger_model_loads_any_layout() -> None:
    import timm

    reference = randomise(timm.create_model('efficientformerv2_s0'))
    whole = nn.ModuleDict({'backbone': EfficientFormerV2('s0'), 'head': nn.Linear(2, 2)})
    state = {f'backbone.{k}': v for k, v in reference.state_dict().items()}
    state |= {f'head.{k}': v for k, v in whole['head'].state_dict().items()}
    whole.load_state_dict(state, strict=True)
    table = whole['backbone'].stages[3].blocks[3].token_mixer.bias.table
    assert torch.equal(table.flatten(1), state['backbone.stages.3.blocks.3.token_mixer.attention_biases'])


def test_report_accounts_for_every_entry() -> None:
    net = EfficientFormerV2('s0', bias_grid=9)
    state = EfficientFormerV2('s0').state_dict()
    del state['stem.conv1.conv.bias']
    state['extra'] = torch.ones(1)
    report = load_report(state, net.state_dict(), {'head.weight': 'classifier'})
    assert report.missing == ['stem.conv1.conv.bias']
    assert report.unexpected == ['extra']
    assert len(report.resized) == 5
    assert len(report.matched) + len(report.resized) + len(report.missing) == len(net.state_dict())
    text = report.summary()
    for part in ('5 bias tables resized ((8, 14, 14) -> (8, 18, 18)', '1 ignored (classifier)', '1 missing', 'extra'):
        assert part in text


def test_what_is_missing_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    from mmengine.logging import MMLogger

    logger = MMLogger.get_instance('report-test', log_level='INFO')
    logger.addHandler(caplog.handler)
    MMLogger._instance_dict['report-test'] = logger
    state = EfficientFormerV1('l1', out_norm=False).state_dict()
    with caplog.at_level(logging.INFO):
        EfficientFormerV1('l1').load_state_dict(state, strict=False)  # output norms start anew
    logger.removeHandler(caplog.handler)
    assert '8 missing (out_norms.0.weight' in caplog.text


def test_published_table_of_another_grid_is_resized() -> None:
    """A timm file of a model that was built for 448 px: its flat tables are 14 x 14."""
    import timm

    state = timm.create_model('efficientformerv2_s0', img_size=448).state_dict()
    for key in [k for k in state if k.endswith('attention_biases')]:
        state[key] = torch.randn_like(state[key])
    net = EfficientFormerV2('s0', bias_grid=14)
    net.load_state_dict(state)
    mixer = net.stages[3].blocks[3].token_mixer
    assert torch.equal(mixer.bias.table.flatten(1), state['stages.3.blocks.3.token_mixer.attention_biases'])
    coarser = EfficientFormerV2('s0')
    coarser.load_state_dict(state)
    expected = resize_table(mixer.bias.table, (7, 7))
    assert torch.equal(coarser.stages[3].blocks[3].token_mixer.bias.table, expected)
