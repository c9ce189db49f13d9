"""Every stock config in the hands of a stranger: mmdet's and mmsegmentation's own entries, and nothing of our tools."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from PIL import Image

from effformer_dense.data.ade_layout import scene_to_labels
from effformer_dense.data.coco_layout import ensure_coco_shapes
from effformer_dense.data.generated import ShapesSpec
from effformer_dense.data.shapes import make_scene
from tests.helpers import PROJECT_ROOT, assert_widths_fit

CONFIGS = PROJECT_ROOT / 'configs'
STOCK = sorted(
    name
    for name in (path.relative_to(CONFIGS).as_posix() for path in CONFIGS.rglob('*.py'))
    if not name.startswith('_base_/')
    and not (name.startswith('heads/') and name.endswith('_shapes.py'))  # tests/engine/test_heads.py
    and not name.startswith(('ablation/', 'search/'))  # tests/studies/test_ablation.py, tests/search/test_joint.py
)
DEMOS = [name for name in STOCK if name.endswith('_shapes.py')]
#: Looked at by `make check` too; the others take a minute together.
SMALL = ('maskrcnn_v2_s0_coco.py', 'semfpn_v2_s0_ade20k.py', *DEMOS)


def _params(names: list[str]) -> list:
    return [pytest.param(name, marks=[] if name in SMALL else pytest.mark.slow) for name in names]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder."""
    folder = tmp_path / 'here'
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def data(here: Path) -> Path:
    """``data/`` below the current folder, as the README lays it out, of three pictures a split."""
    made = ensure_coco_shapes(here / 'made', ShapesSpec({'val': 3}, 64, 0))
    table = json.loads((made / 'annotations' / 'val.json').read_text())
    for category, name in zip(table['categories'], ('person', 'car', 'dog', 'cup', 'kite'), strict=True):
        category['name'] = name
    coco, ade = here / 'data' / 'coco', here / 'data' / 'ade' / 'ADEChallengeData2016'
    (coco / 'annotations').mkdir(parents=True)
    for split in ('train2017', 'val2017'):
        (coco / 'annotations' / f'instances_{split}.json').write_text(json.dumps(table))
        (coco / split).symlink_to(made / 'val')
    for split in ('training', 'validation'):
        for folder in ('images', 'annotations'):
            (ade / folder / split).mkdir(parents=True)
        for index in range(3):
            scene = make_scene(0, split, index, 64)
            Image.fromarray(scene.image).save(ade / 'images' / split / f'{index}.jpg')
            Image.fromarray(scene_to_labels(scene)).save(ade / 'annotations' / split / f'{index}.png')
    return here / 'data'


def _read(name: str) -> Config:
    """A config; its copies in logs and work dirs are not laid out anew, which takes a second each."""
    return Config.fromfile(CONFIGS / name, format_python_code=False)


def _smaller(cfg: Config) -> Config:
    """The same with pictures of 64 px in testing, for time's sake; DINO wants more cells than it has queries."""
    side = 320 if cfg.model.type == 'DINO' else 64
    for step in cfg.test_dataloader.dataset.pipeline:
        if step['type'] == 'Resize':
            step['scale'] = (side, side)
    return cfg


def _is_detector(name: str) -> bool:
    return not any(head in name for head in ('semfpn', 'upernet', 'segformer', 'deeplabv3plus'))


def _has_masks(name: str) -> bool:
    return any(head in name for head in ('maskrcnn', 'rtmdet_ins', 'mask2former'))


def _three_pictures(name: str) -> dict:
    """``shapes`` of a demo, of three small pictures a split."""
    splits = ('train', 'val') if _is_detector(name) else ('training', 'validation')
    return dict(splits=dict.fromkeys(splits, 3), size_px=64, seed=0)


def test_there_are_configs_of_both_kinds_and_legacy_ones() -> None:
    kinds = {'maskrcnn', 'fasterrcnn', 'retinanet', 'semfpn', 'legacy/maskrcnn', 'legacy/semfpn'}
    kinds |= {f'heads/{head}' for head in ('cascade', 'retinanet', 'rtmdet', 'dino', 'mask2former')}
    kinds |= {f'heads/{head}' for head in ('upernet', 'segformer', 'deeplabv3plus')}
    assert {name.partition('_')[0] for name in STOCK} == kinds
    assert len(DEMOS) == 2 and set(SMALL) < set(STOCK)


@pytest.mark.parametrize('name', _params(STOCK))
def test_a_runner_has_model_data_and_metrics(name: str, data: Path) -> None:
    """What mmdet's and mmsegmentation's tools/train.py and tools/test.py do with a config."""
    cfg = _read(name)
    cfg.work_dir = str(data.parent / 'work')
    for split in ('train', 'val', 'test'):
        cfg[f'{split}_dataloader'].update(num_workers=0, persistent_workers=False)
        if name in DEMOS:
            cfg[f'{split}_dataloader'].dataset.shapes = _three_pictures(name)
    runner = Runner.from_cfg(cfg)
    assert_widths_fit(cfg.model, runner.model.backbone)
    for split in ('train', 'val', 'test'):
        loader = runner.build_dataloader(cfg[f'{split}_dataloader'])
        assert len(loader.dataset) == 3
        batch = runner.model.data_preprocessor(next(iter(loader)), training=split == 'train')
        samples = batch['data_samples']
        truth = [sample.gt_instances if _is_detector(name) else sample.gt_sem_seg for sample in samples]
        assert len(batch['inputs']) == len(truth) > 0
        if split == 'train' or 'rtmdet_ins' not in name:  # mmdet's recipe evaluates without reading masks of truth
            assert all(('masks' in part) == _has_masks(name) for part in truth)
    assert runner.build_evaluator(cfg.test_evaluator).metrics


@pytest.mark.parametrize('name', DEMOS)
def test_a_runner_trains_and_tests_the_demos(name: str, here: Path) -> None:
    cfg = _read(name)
    cfg.work_dir = str(here / 'work')
    cfg.train_cfg = dict(type='IterBasedTrainLoop', max_iters=2, val_interval=2)
    cfg.param_scheduler = []
    for split in ('train', 'val', 'test'):
        loader = cfg[f'{split}_dataloader']
        loader.update(batch_size=2, num_workers=0, persistent_workers=False)
        loader.dataset.shapes = _three_pictures(name)
    runner = Runner.from_cfg(cfg)
    before = runner.model.backbone.stem.conv1.conv.weight.detach().clone()
    runner.train()
    assert runner.iter == 2 and not torch.equal(before, runner.model.backbone.stem.conv1.conv.weight)
    scores = runner.test()
    assert ('coco/segm_mAP' if _is_detector(name) else 'mIoU') in scores and all(map(np.isfinite, scores.values()))


@pytest.mark.parametrize('name', _params([name for name in STOCK if _is_detector(name)]))
def test_mmdets_inference(name: str, here: Path) -> None:
    from mmdet.apis import DetInferencer, inference_detector, init_detector

    image = np.random.default_rng(0).integers(0, 256, (48, 75, 3), dtype=np.uint8)
    detector = init_detector(_smaller(_read(name)), None, palette='random', device='cpu')
    found = inference_detector(detector, image).pred_instances
    assert ('masks' in found) == _has_masks(name)
    assert not _has_masks(name) or found.masks.shape[1:] == (48, 75)
    inferencer = DetInferencer(_smaller(_read(name)), device='cpu', show_progress=False)
    (prediction,) = inferencer(image, return_datasamples=True)['predictions']
    found = prediction.pred_instances
    assert ('masks' in found) == _has_masks(name) and len(found.bboxes) == len(found.scores)
    assert not _has_masks(name) or found.masks.shape[1:] == (48, 75)
    assert list(here.iterdir()) == []


@pytest.mark.parametrize('name', _params([name for name in STOCK if not _is_detector(name)]))
def test_mmsegs_inference(name: str, here: Path) -> None:
    from mmseg.apis import MMSegInferencer, inference_model, init_model

    image = np.random.default_rng(0).integers(0, 256, (48, 75, 3), dtype=np.uint8)
    segmentor = init_model(_smaller(_read(name)), device='cpu')
    assert inference_model(segmentor, image).pred_sem_seg.data.shape == (1, 48, 75)
    inferencer = MMSegInferencer(_smaller(_read(name)), device='cpu', show_progress=False)
    assert inferencer(image, return_datasamples=True).pred_sem_seg.data.shape == (1, 48, 75)
    assert inferencer(image)['predictions'].shape == (48, 75)
    assert list(here.iterdir()) == []
