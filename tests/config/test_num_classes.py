"""Numbers of classes follow the data set, unless the user's own config or command line says one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mmseg
import pytest
from mmengine.config import Config

from effformer_dense.config.own_text import own_keys
from effformer_dense.engine.open import open_config
from effformer_dense.errors import UserError
from effformer_dense.options import ConfigOptions
from effformer_dense.preflight.run import check_config

MMSEG = Path(mmseg.__file__).parent / '.mim' / 'configs'
OURS = 'effformer_dense::'
CLASSES = """
custom_imports = dict(imports=['effformer_dense'], allow_failed_imports=False)
data = dict(metainfo=dict(classes=('nut', 'bolt', 'washer')))
train_dataloader = dict(dataset=data)
val_dataloader = dict(dataset=data)
test_dataloader = dict(dataset=data)
"""
SEGMENTATION_CLASSES = CLASSES.replace('data = dict(', "data = dict(type='BaseSegDataset', ")


def _open(folder: Path, base: str, rest: str = '', classes: str = CLASSES, options: Sequence[str] = ()) -> Config:
    path = folder / 'own.py'
    path.write_text(f'_base_ = {base!r}\n{classes}\n{rest}')
    return open_config(ConfigOptions(path, cfg_options=tuple(options), from_scratch=True))


def _at(node: Any, *keys: str | int) -> Any:
    for key in keys:
        node = node[key]
    return node


@pytest.mark.parametrize(
    ('base', 'heads'),
    [
        (OURS + 'maskrcnn_v2_s0_coco.py', ['roi_head.bbox_head', 'roi_head.mask_head']),
        ('mmdet::retinanet/retinanet_r50_fpn_1x_coco.py', ['bbox_head']),
        (
            'mmdet::cascade_rcnn/cascade-mask-rcnn_r50_fpn_1x_coco.py',
            ['roi_head.bbox_head.0', 'roi_head.bbox_head.1', 'roi_head.bbox_head.2', 'roi_head.mask_head'],
        ),
    ],
)
def test_every_head_of_a_detector(base: str, heads: list[str], tmp_path: Path) -> None:
    cfg = _open(tmp_path, base)
    for head in heads:
        keys = [int(key) if key.isdigit() else key for key in head.split('.')]
        assert _at(cfg.model, *keys, 'num_classes') == 3
    check_config(cfg, ('train', 'val', 'test'))


def test_mask2former_counts_things_and_weighs_classes(tmp_path: Path) -> None:
    cfg = _open(tmp_path, 'mmdet::mask2former/mask2former_r50_8xb2-lsj-50e_coco.py')
    for head in (cfg.model.panoptic_head, cfg.model.panoptic_fusion_head):
        assert (head.num_things_classes, head.num_stuff_classes) == (3, 0)
    assert cfg.model.panoptic_head.loss_cls.class_weight == [1.0, 1.0, 1.0, 0.1]
    check_config(cfg, ('train',))


@pytest.mark.parametrize(
    'base',
    ['upernet/upernet_r50_4xb4-80k_ade20k-512x512.py', 'mask2former/mask2former_r50_8xb2-160k_ade20k-512x512.py'],
)
def test_heads_of_mmsegs_segmentors(base: str, tmp_path: Path) -> None:
    cfg = _open(tmp_path, str(MMSEG / base), classes=SEGMENTATION_CLASSES)
    assert cfg.model.decode_head.num_classes == 3
    if 'auxiliary_head' in cfg.model:
        assert cfg.model.auxiliary_head.num_classes == 3
    else:
        assert cfg.model.decode_head.loss_cls.class_weight == [1.0, 1.0, 1.0, 0.1]
    check_config(cfg, ('train',))


def test_semantic_fpn_and_the_loading_of_its_maps(tmp_path: Path) -> None:
    cfg = _open(tmp_path, OURS + 'semfpn_v2_s0_ade20k.py', classes=SEGMENTATION_CLASSES)
    assert cfg.model.decode_head.num_classes == 3
    assert cfg.train_dataloader.dataset.pipeline[1].num_classes == 3
    assert cfg.test_dataloader.dataset.pipeline[3].num_classes == 3
    assert cfg.tta_pipeline[1].transforms[3][0].num_classes == 3
    check_config(cfg, ('train', 'val', 'test'))


def test_a_head_that_leaves_its_number_to_the_default(tmp_path: Path) -> None:
    base = tmp_path / 'base.py'
    base.write_text(
        "_base_ = 'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py'\nmodel = dict(bbox_head=dict(_delete_=True,"
    )
    base.write_text(base.read_text() + " type='FCOSHead', num_classes=80, in_channels=256))\n")
    assert _open(tmp_path, str(base)).model.bbox_head.num_classes == 3
    cfg = _open(
        tmp_path,
        OURS + 'maskrcnn_v2_s0_coco.py',
        "model = dict(roi_head=dict(mask_head=dict(_delete_=True,type='FCNMaskHead', in_channels=256)))",
    )
    assert cfg.model.roi_head.mask_head.num_classes == 3, "FCNMaskHead's own is 80"


@pytest.mark.parametrize(
    'rest',
    [
        'model = dict(roi_head=dict(bbox_head=dict(num_classes=7)))',
        'count = 7\nhead = {"num_classes": count}\nmodel = dict(roi_head=dict(bbox_head=head))',
        '_base_.model.roi_head.bbox_head.num_classes = 7\nmodel = _base_.model',
        'model = _base_.model\nmodel.update(roi_head=dict(bbox_head=dict(num_classes=7)))',
    ],
)
def test_another_number_in_ones_own_config_is_refused(rest: str, tmp_path: Path) -> None:
    cfg = _open(tmp_path, OURS + 'maskrcnn_v2_s0_coco.py', rest)
    assert cfg.model.roi_head.bbox_head.num_classes == 7
    with pytest.raises(UserError, match=r'bbox_head.num_classes is 7, and the data set CocoDataset has 3 classes'):
        check_config(cfg, ('train',))


def test_another_number_on_the_command_line_is_refused(tmp_path: Path) -> None:
    options = ['model.roi_head.mask_head.num_classes=4']
    cfg = _open(tmp_path, OURS + 'maskrcnn_v2_s0_coco.py', options=options)
    assert (cfg.model.roi_head.bbox_head.num_classes, cfg.model.roi_head.mask_head.num_classes) == (3, 4)
    with pytest.raises(UserError, match=r'mask_head.num_classes is 4'):
        check_config(cfg, ('train',))


def test_weights_of_classes_that_nobody_can_guess(tmp_path: Path) -> None:
    base = tmp_path / 'base.py'
    weights = [0.5, *[1.0] * 149]
    base.write_text(
        f"_base_ = '{OURS}semfpn_v2_s0_ade20k.py'\n"
        f'model = dict(decode_head=dict(loss_decode=dict(class_weight={weights})))'
    )
    with pytest.raises(UserError, match=r'loss_decode.class_weight has a weight for each of 150 classes, .* has 3'):
        _open(tmp_path, str(base), classes=SEGMENTATION_CLASSES)


def test_what_a_file_says_itself(tmp_path: Path) -> None:
    path = tmp_path / 'own.py'
    path.write_text(
        'heads = [dict(num_classes=n) for n in (1, 2)]\nmodel = dict(a=heads * 2, **dict(b=1))\nx["y"]["z"] = 1\n'
    )
    assert {('model', 'a', 'num_classes'), ('model', 'b'), ('x', 'y', 'z')} <= own_keys(path)
    path = tmp_path / 'own.json'
    path.write_text('{"model": {"heads": [{"num_classes": 3}]}}')
    assert own_keys(path) == {('model', 'heads', 'num_classes')}
