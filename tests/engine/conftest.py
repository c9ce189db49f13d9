"""Small configs that the engine's tests run for real."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
from mmengine.config import Config

CONFIG = """
_base_ = {base!r}

shapes = dict(splits=dict(train=4, val=2), size_px=64, seed=0)
data_root = {root!r}
model = dict(
    neck=dict(out_channels=16),
    rpn_head=dict(in_channels=16, feat_channels=16),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=16),
        bbox_head=dict(in_channels=16, fc_out_channels=16),
        mask_roi_extractor=dict(out_channels=16),
        mask_head=dict(in_channels=16, conv_out_channels=16, num_convs=1),
    ),
)
train_dataloader = dict(
    batch_size=2, num_workers=0, persistent_workers=False, dataset=dict(data_root=data_root, shapes=shapes)
)
val_dataloader = dict(
    batch_size=2, num_workers=0, persistent_workers=False, dataset=dict(data_root=data_root, shapes=shapes)
)
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=data_root + 'annotations/val.json')
test_evaluator = val_evaluator
train_cfg = dict(max_epochs=1, val_interval=1)
param_scheduler = []
"""


@pytest.fixture
def tiny_config(tmp_path: Path) -> Path:
    """The demo's config, shrunk to four pictures of 64 px and one epoch of two iterations."""
    base = Path(__file__).resolve().parents[2] / 'configs' / 'maskrcnn_v2_s0_shapes.py'
    path = tmp_path / 'tiny.py'
    path.write_text(CONFIG.format(base=str(base), root=f'{tmp_path / "shapes"}/'))
    return path


@pytest.fixture
def write_config(tmp_path: Path):
    """Write a changed copy of a config and return its path."""

    def write(cfg: Config, name: str = 'changed.py') -> Path:
        path = tmp_path / name
        copy.deepcopy(cfg).dump(path)
        return path

    return write
