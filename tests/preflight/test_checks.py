"""Wrong data and wrong weights: a clear error before any long work."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope
from PIL import Image

from effformer_dense import EfficientFormerV2
from effformer_dense.config.datasets import view
from effformer_dense.config.load import enter_scope, load_config
from effformer_dense.data.coco_layout import ensure_coco_shapes
from effformer_dense.data.generated import ShapesSpec
from effformer_dense.data.layouts import ADE20K
from effformer_dense.data.pictures import read_picture
from effformer_dense.data.shapes import CLASSES
from effformer_dense.errors import UserError
from effformer_dense.options import ConfigOptions
from effformer_dense.preflight import data, model
from effformer_dense.preflight.data import check_evaluator
from effformer_dense.preflight.model import check_backbone
from effformer_dense.preflight.run import check_config
from tests.helpers import PROJECT_ROOT

DEMO = PROJECT_ROOT / 'configs' / 'maskrcnn_v2_s0_shapes.py'
COCO_LIKE = dict(
    type='CocoDataset', ann_file='annotations/val.json', data_prefix=dict(img='val/'), metainfo=dict(classes=CLASSES)
)


@pytest.fixture
def dataset(tmp_path: Path) -> dict:
    """A good data set in COCO layout, to be spoilt."""
    init_default_scope('mmdet')
    root = ensure_coco_shapes(tmp_path / 'coco', ShapesSpec({'val': 3}, 64, 0))
    return dict(COCO_LIKE, data_root=str(root))


def check_folders(node: dict) -> None:
    data.check_folders(view(node))


def check_num_classes(cfg: dict, node: dict) -> None:
    model.check_num_classes(cfg, view(node))


def test_a_good_data_set_passes(dataset: dict) -> None:
    check_folders(dataset)


def test_missing_folder_is_named_with_the_way_out(dataset: dict) -> None:
    with pytest.raises(ValueError, match=r'nowhere does not exist. See .*README.*--data-root'):
        check_folders({**dataset, 'data_root': 'nowhere'})


def test_usual_mistakes_with_folder_names_are_recognised(tmp_path: Path) -> None:
    init_default_scope('mmseg')
    root = tmp_path / 'ADEChallengeData2016'
    for path in ADE20K.paths:
        (root / path).mkdir(parents=True)
    prefix = dict(img_path='images/training', seg_map_path='annotations/training')
    wrong = dict(type='ADE20KDataset', data_root=str(tmp_path), data_prefix=prefix)
    with pytest.raises(ValueError, match=r'(?s)Not found: .*begins at .*ADEChallengeData2016: name that folder'):
        check_folders(wrong)
    with pytest.raises(ValueError, match=r'(?s)nowhere does not exist.*openxlab dataset get'):
        check_folders({**wrong, 'data_root': 'nowhere'})


def test_wrong_layout_says_what_is_there(dataset: dict) -> None:
    with pytest.raises(
        ValueError, match=r'Not found: .*instances_val2017.json.* holds: annotations/, shapes.json, val/'
    ):
        check_folders({**dataset, 'ann_file': 'annotations/instances_val2017.json'})
    with pytest.raises(ValueError, match=r'Not found: .*val2017'):
        check_folders({**dataset, 'data_prefix': dict(img='val2017/')})


def test_num_classes_that_disagrees(dataset: dict) -> None:
    cfg = dict(type='MaskRCNN', roi_head=dict(bbox_head=dict(num_classes=5), mask_head=dict(num_classes=80)))
    with pytest.raises(ValueError, match=r'mask_head.num_classes is 80, and the data set CocoDataset has 5 classes'):
        check_num_classes(cfg, dataset)
    cfg['roi_head']['mask_head']['num_classes'] = 5
    check_num_classes(cfg, dataset)


def test_other_heads_may_have_other_counts(dataset: dict) -> None:
    check_num_classes(dict(rpn_head=dict(num_classes=1), semantic_head=dict(num_classes=183)), dataset)


def test_num_classes_of_a_panoptic_head_that_disagrees(dataset: dict) -> None:
    head = dict(num_things_classes=80, num_stuff_classes=0)
    with pytest.raises(UserError, match=r'panoptic_head.num_things_classes \+ num_stuff_classes is 80, .* 5 classes'):
        check_num_classes(dict(panoptic_head=head), dataset)
    check_num_classes(dict(panoptic_head=dict(num_things_classes=3, num_stuff_classes=2)), dataset)


def test_one_string_of_classes_is_refused(dataset: dict) -> None:
    with pytest.raises(ValueError, match=r"metainfo\.classes must be a list of names.*'disc'"):
        check_folders({**dataset, 'metainfo': dict(classes='disc')})


def test_evaluator_file_that_is_missing() -> None:
    with pytest.raises(ValueError, match=r'val_evaluator.ann_file gone.json does not exist'):
        check_evaluator(dict(type='CocoMetric', ann_file='gone.json'), 'val_evaluator')


def test_generated_splits_of_one_folder_must_agree(tmp_path: Path) -> None:
    options = ['train_dataloader.dataset.shapes.seed=1']
    cfg = load_config(ConfigOptions(DEMO, cfg_options=options, data_root=tmp_path / 'shapes'))
    enter_scope(cfg)
    with pytest.raises(ValueError, match=r"val_dataloader.dataset.shapes .*'seed': 0.*'seed': 1"):
        check_config(cfg, ('train', 'val'))


def test_misspelt_field_of_the_shapes(tmp_path: Path) -> None:
    from effformer_dense.data.shapes_mmdet import ShapesCocoDataset

    with pytest.raises(ValueError, match=r"'sed'.*Did you mean 'seed'"):
        ShapesCocoDataset.generate(str(tmp_path / 'shapes'), dict(sed=1))


def _model(**init: object) -> dict:
    return dict(backbone=dict(type='EfficientFormerV2', arch='s0', init_cfg=dict(type='Pretrained', **init)))


def test_pretrained_weights_are_looked_at_before_training(tmp_path: Path) -> None:
    gone = tmp_path / 'gone.pth'
    with pytest.raises(ValueError, match=r'gone.pth do not exist.*--cfg-options model.backbone.*--from-scratch'):
        check_backbone(_model(checkpoint=str(gone)), with_weights=True)
    check_backbone(_model(checkpoint=str(gone)), with_weights=False)

    path = tmp_path / 'weights.pth'
    path.write_bytes(b'PK broken')
    with pytest.raises(ValueError, match=r'weights.pth \(9 bytes\) is no readable checkpoint'):
        check_backbone(_model(checkpoint=str(path)), with_weights=True)
    torch.save({'layer1.weight': torch.ones(1)}, path)
    with pytest.raises(ValueError, match=r'None of these 1 entries \(layer1.weight'):
        check_backbone(_model(checkpoint=str(path)), with_weights=True)
    torch.save(EfficientFormerV2('s1').state_dict(), path)
    with pytest.raises(ValueError, match='These weights are of EfficientFormerV2 s1'):
        check_backbone(_model(checkpoint=str(path)), with_weights=True)


def test_pretrained_weights_in_their_usual_wrappings_pass(tmp_path: Path) -> None:
    state = EfficientFormerV2('s0').state_dict()
    path = tmp_path / 'weights.pth'
    whole = {f'backbone.{key}': value for key, value in state.items()}
    for content, options in [
        (state, {}),
        ({'model': state}, {}),
        ({'state_dict': state, 'meta': {}}, {}),
        (whole, dict(prefix='backbone.')),
        (whole, {}),
    ]:
        torch.save(content, path)
        check_backbone(_model(checkpoint=str(path), **options), with_weights=True)
    with pytest.raises(ValueError, match=r"no entries under the prefix 'student\.' of init_cfg"):
        check_backbone(_model(checkpoint=str(path), prefix='student'), with_weights=True)


def test_channels_of_the_neck_follow_the_variant() -> None:
    model = dict(backbone=dict(type='EfficientFormerV2', arch='s1'), neck=dict(in_channels=[32, 48, 96, 176]))
    with pytest.raises(ValueError, match=r'model.neck.in_channels=\[32,48,120,224\]'):
        check_backbone(model, with_weights=False)


def test_pictures_of_every_kind_decode(tmp_path: Path) -> None:
    """Grey, alpha and 16-bit files: training's loader sees what inference's own reading of pictures gives."""
    from mmcv.transforms import LoadImageFromFile

    Image.new('L', (40, 40), 7).save(tmp_path / 'grey.png')
    Image.new('RGBA', (40, 40), (1, 2, 3, 4)).save(tmp_path / 'alpha.png')
    Image.new('I;16', (40, 40), 257 * 9).save(tmp_path / '16.png')
    for name, value in (('grey', 7), ('alpha', 3), ('16', 9)):
        image = LoadImageFromFile()(dict(img_path=str(tmp_path / f'{name}.png')))['img']
        assert image.shape == (40, 40, 3) and image.dtype.name == 'uint8'
        assert image[0, 0, 0] == value
        assert np.array_equal(image, read_picture(tmp_path / f'{name}.png'))


def test_a_base_is_no_config_to_run() -> None:
    cfg = load_config(ConfigOptions(PROJECT_ROOT / 'configs' / '_base_' / 'coco_instance.py'))
    with pytest.raises(ValueError, match=r'The config has no model. Is .*coco_instance.py one of the bases'):
        check_config(cfg, ('train',))


def test_an_argument_that_a_data_set_does_not_take(tmp_path: Path) -> None:
    """It came in from a base, and would end in a traceback when the data set is built."""
    cfg = load_config(ConfigOptions(PROJECT_ROOT / 'configs' / 'semfpn_v2_s0_shapes.py', data_root=tmp_path / 'shapes'))
    enter_scope(cfg)
    cfg.train_dataloader.dataset.type = 'BaseSegDataset'
    with pytest.raises(UserError, match=r'Argument of BaseSegDataset \(train_dataloader\.dataset\).*shapes'):
        check_config(cfg, ('train',))
