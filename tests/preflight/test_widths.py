"""Channels that do not fit are named before anything is done, with the line to change."""

from __future__ import annotations

from pathlib import Path

import pytest

from effformer_dense.config.load import enter_scope, load_config
from effformer_dense.errors import UserError
from effformer_dense.options import ConfigOptions
from effformer_dense.preflight.model import check_backbone
from tests.helpers import PROJECT_ROOT

CONFIGS = PROJECT_ROOT / 'configs'
TIMM = [
    'model.backbone._delete_=True',
    'model.backbone.type=TimmFeatures',
    'model.backbone.model_name=test_resnet',
]


def _check(name: str, *options: str) -> None:
    cfg = load_config(ConfigOptions(Path(CONFIGS / name), cfg_options=options, from_scratch=True))
    enter_scope(cfg)
    check_backbone(cfg.model, with_weights=False)


@pytest.mark.parametrize('path', sorted(CONFIGS.rglob('*_*_*.py')), ids=lambda path: path.stem)
def test_all_of_ours_fit(path: Path) -> None:
    if '_base_' not in path.parts:
        _check(str(path))


@pytest.mark.parametrize(
    ('name', 'options', 'message'),
    [
        ('maskrcnn_v2_s0_coco.py', ['model.backbone.arch=s1'], r'Set model\.neck\.in_channels=\[32,48,120,224\]'),
        ('maskrcnn_v2_s0_shapes.py', TIMM, r"timm's test_resnet gives .* Set model\.neck\.in_channels="),
        (
            'heads/rtmdet_v2_s0_shapes.py',
            ['model.backbone.arch=s1'],
            r'EfficientFormerV2 s1 gives \[48, 120, 224\]\. Set model\.neck\.in_channels=\[48,120,224\]',
        ),
        (
            'heads/mask2former_v2_s0_shapes.py',
            ['model.backbone.arch=s2'],
            r'Set model\.panoptic_head\.in_channels=\[32,64,144,288\]',
        ),
        (
            'heads/upernet_v2_s0_shapes.py',
            ['model.backbone.arch=s1'],
            r'Set model\.decode_head\.in_channels=\[32,48,120,224\]',
        ),
        (
            'heads/upernet_v2_s0_shapes.py',
            ['model.backbone.arch=s1', 'model.decode_head.in_channels=[32,48,120,224]'],
            r'Set model\.auxiliary_head\.in_channels=120',
        ),
        (
            'heads/deeplabv3plus_v2_s0_shapes.py',
            ['model.backbone.arch=l'],
            r'Set model\.decode_head\.in_channels=384',
        ),
        (
            'heads/deeplabv3plus_v2_s0_shapes.py',
            ['model.backbone.arch=l', 'model.decode_head.in_channels=384'],
            r'Set model\.decode_head\.c1_in_channels=40',
        ),
        (
            'semfpn_v2_s0_shapes.py',
            ['model.backbone.out_indices=[1,2,3]'],
            r'Set model\.neck\.in_channels=\[48,96,176\]',
        ),
    ],
)
def test_the_line_to_change_is_named(name: str, options: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        _check(name, *options)
