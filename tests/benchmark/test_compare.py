"""Backbones beside each other: what can be compared, and what comes out."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from effformer_dense.benchmark.compare import COLUMNS, compare, make_cases
from effformer_dense.benchmark.models import find_model
from effformer_dense.errors import UserError
from effformer_dense.options import BenchmarkOptions


@pytest.mark.slow
def test_a_run_over_ours_and_timms(tmp_path: Path) -> None:
    options = BenchmarkOptions(threads=(1,), rounds=2)
    cases = make_cases(['v2_s0', 'edgevit_xxs', 'test_resnet'], (64, 96), ['fused'], options)
    found = compare(cases, 2, tmp_path, 'the command')
    assert [m.case.label for m in found] == ['v2_s0', 'edgevit_xxs', 'timm/test_resnet']
    assert found[0].ratio == (1, 1, 1) and all(m.gmacs > 0 and m.floor_ms > 0 for m in found)
    assert len({m.gmacs for m in found}) == 3, 'each counts what it does itself'
    with (tmp_path / 'compare.csv').open() as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS and [row['M parameters'] for row in rows[:2]] == ['3.25', '3.78']
    text = (tmp_path / 'compare.md').read_text()
    assert '1x64x96, 1 thread' in text and '`the command`' in text and text.count('\n| ') == 4
    assert len(json.loads((tmp_path / 'compare.json').read_text())['rows']) == 3
    assert (tmp_path / 'compare.png').stat().st_size > 10_000


def test_names_of_models() -> None:
    assert find_model('v2_s0') == 'v2_s0' and find_model('edgevit_xs') == 'edgevit_xs'
    assert find_model('resnet50') == find_model('timm/resnet50') == 'timm/resnet50'
    assert find_model('timm/efficientformerv2_s0') == 'timm/efficientformerv2_s0'
    with pytest.raises(UserError, match=r"got 'v2_s9'. Did you mean 'v2_s"):
        find_model('v2_s9')
    with pytest.raises(UserError, match=r"got 'repvit_m0_8'. Did you mean 'repvit_m0_9'"):
        find_model('repvit_m0_8')


@pytest.mark.parametrize(
    ('models', 'options', 'message'),
    [
        (['v2_s0', 'v1_l1'], dict(threads=(1, 2)), 'one number of threads; got 1, 2'),
        (['v2_s0', 'resnet18', 'timm/resnet18'], dict(threads=(1,)), 'got timm/resnet18 fused twice: name each'),
        (['v2_s0', 'nonet'], dict(threads=(1,)), "got 'nonet'"),
    ],
)
def test_what_cannot_be_compared_is_refused_first(models: list[str], options: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        make_cases(models, (64, 64), ['fused'], BenchmarkOptions(**options))


def test_configs_with_other_backbones_are_measured_as_they_are(tmp_path: Path) -> None:
    pytest.importorskip('mmdet')
    config = tmp_path / 'other.py'
    config.write_text("_base_ = 'mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py'\n")
    options = BenchmarkOptions(threads=(1,))
    assert len(make_cases(['v2_s0', str(config)], (64, 64), ['eager'], options)) == 2
    for mode in ('fused', 'compiled', 'onnx'):
        with pytest.raises(UserError, match=r'other.py has a backbone that is not of this package: .* --modes eager'):
            make_cases(['v2_s0', str(config)], (64, 64), [mode], options)


def test_timms_own_modes_are_for_our_variants() -> None:
    with pytest.raises(UserError, match='--modes timm is for our variants: timm/resnet18 is measured by eager'):
        make_cases(['resnet18'], (64, 64), ['timm'], BenchmarkOptions(threads=(1,)))
    with pytest.raises(UserError, match='is for our variants: maskrcnn_v2_s0_coco is measured by eager'):
        make_cases(['configs/maskrcnn_v2_s0_coco.py'], (64, 64), ['timm'], BenchmarkOptions(threads=(1,)))
    with pytest.raises(UserError, match='timm has no edgevit_xs'):
        make_cases(['edgevit_xs'], (64, 64), ['timm'], BenchmarkOptions(threads=(1,)))


@pytest.mark.slow
def test_a_config_stands_for_its_backbone(tmp_path: Path) -> None:
    pytest.importorskip('mmseg')
    config = tmp_path / 'mine.py'
    config.write_text(
        "_base_ = 'effformer_dense::semfpn_v2_s0_shapes.py'\n"
        'model = dict(backbone=dict(arch=dict(_delete_=True, widths=(16, 24, 32, 48), depths=(1, 1, 2, 2))))\n'
    )
    cases = make_cases(['v2_s0', str(config)], (64, 64), ['fused'], BenchmarkOptions(threads=(1,)))
    found = compare(cases, 1, tmp_path / 'out')
    assert [m.case.label for m in found] == ['v2_s0', 'mine']
    assert found[0].parameters == 3_245_904 and found[1].parameters < 600_000
