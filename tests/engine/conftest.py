"""Small configs that the engine's tests run for real."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
from mmengine.config import Config
from PIL import Image

from effformer_dense.data.ade_layout import scene_to_labels
from effformer_dense.data.shapes import make_scene
from tests.helpers import PROJECT_ROOT

CONFIGS = PROJECT_ROOT / 'configs'

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


def write_tiny_config(folder: Path) -> Path:
    """The demo's config, shrunk to four pictures of 64 px and one epoch of two iterations."""
    path = folder / 'tiny.py'
    path.write_text(CONFIG.format(base=str(CONFIGS / 'maskrcnn_v2_s0_shapes.py'), root=f'{folder / "shapes"}/'))
    return path


@pytest.fixture
def tiny_config(tmp_path: Path) -> Path:
    return write_tiny_config(tmp_path)


@pytest.fixture
def write_config(tmp_path: Path):
    """Write a changed copy of a config and return its path."""

    def write(cfg: Config, name: str = 'changed.py') -> Path:
        path = tmp_path / name
        copy.deepcopy(cfg).dump(path)
        return path

    return write


SEGMENTATION_CONFIG = """
_base_ = {base!r}

data_root = {root!r}
dataset = dict(
    data_root=data_root, data_prefix=dict(img_path='images/validation', seg_map_path='annotations/validation')
)
model = dict(
    data_preprocessor=dict(size=(64, 64)),
    neck=dict(out_channels=16),
    decode_head=dict(in_channels=[16] * 4, channels=16),
)
train_dataloader = dict(batch_size=2, num_workers=0, persistent_workers=False, dataset=dataset)
val_dataloader = dict(batch_size=1, num_workers=0, persistent_workers=False, dataset=dataset)
test_dataloader = val_dataloader
train_cfg = dict(max_iters=2, val_interval=2)
param_scheduler = []
default_hooks = dict(checkpoint=dict(interval=2))
"""

SCENES = 3


def write_scenes(root: Path) -> Path:
    """Three labelled scenes in ADE20K layout, each of another size, with an unlabelled corner and label 150."""
    for folder in ('images', 'annotations'):
        (root / folder / 'validation').mkdir(parents=True)
    for index in range(SCENES):
        scene = make_scene(0, 'validation', index, 96)
        height = 96 - 7 * index
        labels = scene_to_labels(scene)[:height]
        labels[:9, :9] = 0
        labels[-9:, -9:] = 150
        Image.fromarray(scene.image[:height]).save(root / 'images' / 'validation' / f'{index}.jpg')
        Image.fromarray(labels).save(root / 'annotations' / 'validation' / f'{index}.png')
    return root


@pytest.fixture
def ade_root(tmp_path: Path) -> Path:
    return write_scenes(tmp_path / 'ade')


def write_tiny_segmentor(folder: Path, root: Path) -> Path:
    """The full-size ADE20K config of S0 with thin heads, on three small pictures, for two iterations."""
    path = folder / 'semfpn_tiny.py'
    path.write_text(SEGMENTATION_CONFIG.format(base=str(CONFIGS / 'semfpn_v2_s0_ade20k.py'), root=f'{root}/'))
    return path


@pytest.fixture
def tiny_segmentor(tmp_path: Path, ade_root: Path) -> Path:
    return write_tiny_segmentor(tmp_path, ade_root)
