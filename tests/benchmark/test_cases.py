"""What the benchmark compares, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from effformer_dense.benchmark import cases
from effformer_dense.benchmark.cases import make_groups
from effformer_dense.benchmark.published import published_backbone
from effformer_dense.errors import UserError
from effformer_dense.options import BenchmarkOptions
from effformer_dense.variants import ALL_VARIANTS

PUBLISHED = """
import torch
from mmcv.runner import _load_checkpoint
from mmdet.models.builder import BACKBONES
from mmdet.utils import get_root_logger

@BACKBONES.register_module()
class {name}(torch.nn.Conv2d):
    def __init__(self):
        super().__init__(3, 8, 3)
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / 'detection').mkdir()
    (tmp_path / 'detection' / 'backbone.py').write_text(PUBLISHED.format(name='efficientformer_l1_feat'))
    (tmp_path / 'detection' / 'backbonev2.py').write_text(PUBLISHED.format(name='efficientformerv2_s0_feat'))
    return tmp_path


@pytest.mark.parametrize(
    ('changes', 'options', 'message'),
    [
        (dict(models=['v2_s9']), {}, 'v2_s0'),
        (dict(models=['nothing.py']), {}, 'nothing.py is not there'),
        (dict(models=['maskrcnn_v2_s0_coco.py'], modes=['onnx']), {}, '--modes onnx measures backbones'),
        (dict(sizes=[(1, 16, 800)]), {}, 'Both sides must be 32 to 65,535 px; got 16x800'),
        (dict(modes=['fused']), dict(train=True), '--modes eager compiled'),
        (dict(modes=['onnx']), dict(train=True), 'exported files are not for training'),
        ({}, dict(with_cp=True), '--with-cp .* needs --train'),
        ({}, dict(device='cuda:99'), '--device cuda:99 cannot be used'),
        ({}, dict(threads=(1, 4096)), '--threads 4096 is more than the .* cores'),
        (dict(models=['v1_l1'], modes=['timm']), {}, "timm's v1_l1 takes 224 x 224 px only, not 64x64"),
        (dict(sizes=[(1, 40, 64)], modes=['timm']), {}, 'timm takes multiples of 32 px only, not 40x64'),
        (dict(modes=['onnx']), dict(precision=('bf16',)), 'onnx files are not to be had in bf16'),
        (dict(modes=['published']), {}, '--published FOLDER'),
        (dict(modes=['published']), dict(published=Path('nowhere')), 'nowhere: detection/backbone.py is not there'),
        ({}, dict(published=Path('nowhere')), '--modes published'),
    ],
)
def test_what_cannot_be_measured_is_refused_first(changes: dict, options: dict, message: str) -> None:
    wanted = {**dict(models=['v2_s0'], sizes=[(1, 64, 64)], modes=['eager']), **changes}
    with pytest.raises(UserError, match=message):
        make_groups(**wanted, options=BenchmarkOptions(**options))


@pytest.mark.parametrize('name', ['batch', 'rounds'])
def test_numbers_of_nothing_are_refused(name: str) -> None:
    with pytest.raises(UserError, match=f'--{name} 0 is not 1 or more'):
        BenchmarkOptions(**{name: 0})


def test_groups_are_all_combinations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cases, 'check_precision', lambda *_: None)  # not every processor has bfloat16
    options = BenchmarkOptions(precision=('fp32', 'bf16'), threads=(1,))
    groups = make_groups(['v2_s0', 'v1_l1'], [(2, 224, 224), (1, 64, 96)], ['fused', 'onnx', 'timm'], options)
    assert [(group[0].model, group[0].height, group[0].batch) for group in groups] == [
        ('v2_s0', 224, 2), ('v2_s0', 64, 1), ('v1_l1', 224, 2), ('v1_l1', 64, 1),
    ]  # fmt: skip
    everything = ['fused', 'fused bf16', 'onnx', 'timm', 'timm bf16']  # ONNX files are fp32
    assert [case.contender for case in groups[0]] == everything
    assert [case.contender for case in groups[3]] == everything[:3]  # timm's V1 takes 224 px only
    assert len({case.conditions for case in groups[0]}) == 1


def test_what_a_model_of_timm_cannot_do_is_left_out() -> None:
    options = BenchmarkOptions(precision=('fp32', 'bf16'), threads=(1,))
    groups = make_groups(['timm/resnet18'], [(1, 64, 64)], ['eager', 'fused'], options)
    assert [case.contender for case in groups[0]] == ['eager', 'eager bf16', 'fused']
    recomputing = BenchmarkOptions(threads=(1,), train=True, with_cp=True)
    groups = make_groups(['v2_s0'], [(1, 64, 64)], ['eager', 'timm'], recomputing)
    assert [case.contender for case in groups[0]] == ['eager']


def test_the_published_code_is_built_from_a_checkout(checkout: Path) -> None:
    import sys

    rows = {row.arch: row for row in ALL_VARIANTS}
    before = {name: sys.modules.get(name) for name in ('mmcv', 'mmdet', 'mmdet.models.builder')}
    assert published_backbone(checkout, rows['s0']).out_channels == 8
    assert {name: sys.modules.get(name) for name in before} == before
    with pytest.raises(UserError, match=r'backbone\.py cannot be run: AttributeError: .*efficientformer_l3_feat'):
        published_backbone(checkout, rows['l3'])
