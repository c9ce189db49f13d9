"""Training, testing and inference of a segmentor through the published config, shrunk."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from effformer_dense.engine.infer import infer
from effformer_dense.engine.runner import evaluate, train
from effformer_dense.options import ConfigOptions, EvaluationOptions, InferOptions

from .conftest import SCENES, write_scenes, write_tiny_segmentor

pytestmark = pytest.mark.slow

SMALL = [
    'train_dataloader.dataset.pipeline.2.scale=(256,64)',
    'train_dataloader.dataset.pipeline.3.crop_size=(64,64)',
    'test_dataloader.dataset.pipeline.1.scale=(256,64)',
    'val_dataloader.dataset.pipeline.1.scale=(256,64)',
]


@pytest.fixture(scope='module')
def trained_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Config of a finished training, two iterations; its work dir lies beside it."""
    folder = tmp_path_factory.mktemp('segmentor')
    config = write_tiny_segmentor(folder, write_scenes(folder / 'ade'))
    train(ConfigOptions(config, cfg_options=SMALL, work_dir=folder / 'work', from_scratch=True))
    return config


@pytest.fixture
def trained(trained_once: Path, tmp_path: Path) -> ConfigOptions:
    """Options of the finished training with a copy of its work dir; its pictures are those of ``ade_root``."""
    work_dir = shutil.copytree(trained_once.parent / 'work', tmp_path / 'work')
    return ConfigOptions(trained_once, cfg_options=SMALL, work_dir=work_dir, from_scratch=True)


def _map_files(folder: Path) -> list[Path]:
    """Those of all the scenes, so that no loop over them runs idle."""
    paths = sorted(folder.glob('*.png'))
    assert len(paths) == SCENES
    return paths


def _independent_scores(labels: Path, annotations: Path) -> dict[str, float]:
    """mIoU, mAcc, aAcc from the files alone, by a confusion matrix."""
    confusion = np.zeros((151, 151), np.int64)
    for path in _map_files(annotations):
        annotation, prediction = (np.asarray(Image.open(p), np.int64) for p in (path, labels / path.name))
        np.add.at(confusion, (annotation.ravel(), prediction.ravel()), 1)
    confusion = confusion[1:, 1:]  # unlabelled pixels count nowhere; nothing is predicted as unlabelled
    correct, annotated, predicted = np.diag(confusion), confusion.sum(1), confusion.sum(0)
    union = annotated + predicted - correct
    iou = [c / u for c, u in zip(correct, union, strict=True) if u]
    accuracy = [c / a for c, a in zip(correct, annotated, strict=True) if a]
    return {'mIoU': np.mean(iou), 'mAcc': np.mean(accuracy), 'aAcc': correct.sum() / annotated.sum()}


def test_scores_are_those_of_the_saved_labels(trained: ConfigOptions, ade_root: Path, tmp_path: Path) -> None:
    maps = tmp_path / 'segmentation_maps'
    metrics = evaluate(trained, EvaluationOptions(trained.work_dir, tmp_path / 'shown', 2, save_segmentation_maps=maps))
    expected = _independent_scores(maps, ade_root / 'annotations' / 'validation')
    assert metrics == pytest.approx(expected, abs=1e-12)
    assert len(list((tmp_path / 'shown').glob('*.png'))) == 2
    table = json.loads((trained.work_dir / 'scores.json').read_text())
    assert table['mIoU'] == metrics['mIoU'] and table['num_pictures'] == SCENES
    source = table['source']
    assert source['config'] == str(trained.config) and source['checkpoint'] == str(trained.work_dir)
    assert source['cfg_options'] == SMALL and source['test_cfg'] == {'mode': 'whole'} and source['tta'] is False
    assert table['classes'][149]['name'] == 'flag' and table['classes'][149]['annotated_px'] == 3 * 81
    assert table['num_classes_left_out'] == sum(row['IoU'] is None for row in table['classes']) > 100
    assert len(list(csv.DictReader((trained.work_dir / 'scores.csv').open()))) == 150
    for path in _map_files(maps):
        image = Image.open(path)
        assert image.mode == 'L' and image.size == Image.open(ade_root / 'images/validation' / f'{path.stem}.jpg').size
        assert 1 <= np.asarray(image).min() and np.asarray(image).max() <= 150


def test_tta_windows_and_rounded_sides_are_scored_as_saved(
    trained: ConfigOptions, ade_root: Path, tmp_path: Path
) -> None:
    """Each predicts the pictures, which are of three sizes, in its own way; the score is that of its label files."""
    checkpoint = trained.work_dir
    annotations = ade_root / 'annotations' / 'validation'
    plain = evaluate(trained, EvaluationOptions(checkpoint))
    one_window = ConfigOptions(**{**vars(trained), 'window_px': 96})
    # One window holds each picture; its logits are enlarged in two steps, whose roundings decide between equal classes.
    assert evaluate(one_window, EvaluationOptions(checkpoint)) == pytest.approx(plain, rel=1e-3)
    windows = ConfigOptions(**{**vars(trained), 'window_px': 32, 'stride_px': 24})
    assert evaluate(windows, EvaluationOptions(checkpoint)) != plain
    rounded = [*SMALL, 'test_dataloader.dataset.pipeline.2.size_divisor=32']
    rounded_options = ConfigOptions(**{**vars(trained), 'cfg_options': rounded})
    for name, options in (('rounded', rounded_options), ('tta', _with_small_tta(trained, tmp_path))):
        maps = tmp_path / name
        metrics = evaluate(options, EvaluationOptions(checkpoint, tta=name == 'tta', save_segmentation_maps=maps))
        assert metrics == pytest.approx(_independent_scores(maps, annotations), abs=1e-12)
        assert metrics != plain, f'{name} changes nothing'


def _with_small_tta(options: ConfigOptions, tmp_path: Path) -> ConfigOptions:
    """Two scales around 64 px instead of six around 512, and nothing said of the pipeline that TTA replaces."""
    path = tmp_path / 'small_tta.py'
    path.write_text(
        f'_base_ = {str(options.config)!r}\n'
        "tta_pipeline = [dict(type='LoadImageFromFile'), dict(type='TestTimeAug', transforms=[\n"
        "    [dict(type='Resize', scale=(256, side), keep_ratio=True) for side in (48, 64)],\n"
        "    [dict(type='RandomFlip', prob=p, direction='horizontal') for p in (0.0, 1.0)],\n"
        "    [dict(type='LoadSegmentationMap', num_classes=150)], [dict(type='PackSegInputs')]])]\n"
    )
    overrides = [option for option in SMALL if not option.startswith('test_dataloader.dataset.pipeline')]
    return ConfigOptions(**{**vars(options), 'config': path, 'cfg_options': overrides})


def test_infer_writes_overlay_map_and_labels(trained: ConfigOptions, ade_root: Path, tmp_path: Path) -> None:
    out = infer(trained, InferOptions(trained.work_dir, str(ade_root / 'images' / 'validation'), tmp_path / 'out'))
    pictures = sorted((ade_root / 'images' / 'validation').glob('*.jpg'))
    assert len(pictures) == SCENES
    for picture in pictures:
        size = Image.open(picture).size
        assert Image.open(out / 'pictures' / f'{picture.stem}.png').size == size
        labels = Image.open(out / 'segmentation_maps' / f'{picture.stem}.png')
        assert labels.size == size and labels.mode == 'L' and np.asarray(labels).min() >= 1
        drawn = Image.open(out / 'colour_maps' / f'{picture.stem}.png')
        assert drawn.width > size[0] and drawn.height >= size[1]
    assert not (out / 'predictions.json').exists()
    assert sorted(p.name for p in out.rglob('*') if 'partial' in p.name) == []


def test_infer_and_test_label_alike(trained: ConfigOptions, ade_root: Path, tmp_path: Path) -> None:
    evaluate(trained, EvaluationOptions(trained.work_dir, save_segmentation_maps=tmp_path / 'segmentation_maps'))
    out = infer(trained, InferOptions(trained.work_dir, str(ade_root / 'images' / 'validation'), tmp_path / 'out'))
    for path in _map_files(tmp_path / 'segmentation_maps'):
        assert np.array_equal(
            np.asarray(Image.open(path)), np.asarray(Image.open(out / 'segmentation_maps' / path.name))
        )


def test_fused_segmentors_label_alike(trained: ConfigOptions, ade_root: Path, tmp_path: Path) -> None:
    labels = []
    for fused in (False, True):
        options = InferOptions(
            trained.work_dir, str(ade_root / 'images' / 'validation'), tmp_path / f'{fused}', fuse=fused
        )
        paths = sorted((infer(trained, options) / 'segmentation_maps').rglob('*.png'))
        labels.append(np.concatenate([np.asarray(Image.open(path)).ravel() for path in paths]))
    assert (labels[0] == labels[1]).mean() > 0.999
    tta = _with_small_tta(trained, tmp_path)
    scores = [evaluate(tta, EvaluationOptions(trained.work_dir, tta=True, fuse=fused)) for fused in (False, True)]
    assert scores[1] == pytest.approx(scores[0], abs=2e-4)


def test_auto_scale_lr_scales_with_the_total_batch(tiny_segmentor: Path, tmp_path: Path) -> None:
    options = ConfigOptions(tiny_segmentor, SMALL, tmp_path / 'work', from_scratch=True, auto_scale_lr=True)
    train(options)
    state = torch.load(tmp_path / 'work' / 'iter_2.pth', weights_only=False)
    assert {group['lr'] for group in state['optimizer']['param_groups']} == {2e-4 * 2 / 32}


def _mistake(options: ConfigOptions) -> str:
    with pytest.raises(ValueError) as caught:
        train(options)
    assert not Path(options.work_dir).exists(), 'found before any work'
    return str(caught.value)


def test_wrong_map_files_are_found_before_training(tiny_segmentor: Path, ade_root: Path, tmp_path: Path) -> None:
    options = ConfigOptions(tiny_segmentor, SMALL, tmp_path / 'work', from_scratch=True)
    path = ade_root / 'annotations' / 'validation' / '1.png'
    labels = np.asarray(Image.open(path))
    Image.fromarray(labels + np.uint8(1)).save(path)
    assert '1.png: label 151 in 81 pixels; labels go from 1 to 150' in _mistake(options)
    Image.fromarray(np.stack([labels] * 3, axis=-1)).save(path)
    assert '1.png: a picture of mode RGB' in _mistake(options)
    Image.fromarray(labels[:-1]).save(path)
    assert '1.png is 96 x 88 px, its picture' in _mistake(options)
    path.unlink()
    message = _mistake(options)
    assert '1 files are missing' in message and str(path) in message


def test_map_files_without_pictures_are_found(tiny_segmentor: Path, ade_root: Path, tmp_path: Path) -> None:
    options = ConfigOptions(tiny_segmentor, SMALL, tmp_path / 'work', from_scratch=True)
    (ade_root / 'images' / 'validation' / '1.jpg').unlink()
    assert '1 of 3 segmentation maps in' in _mistake(options)


def test_outputs_take_nobodys_files_away(trained: ConfigOptions, ade_root: Path, tmp_path: Path) -> None:
    annotations = ade_root / 'annotations' / 'validation'
    with pytest.raises(ValueError, match=r'validation is not empty: segmentation maps of several runs would mix'):
        evaluate(trained, EvaluationOptions(trained.work_dir, save_segmentation_maps=annotations))
    (tmp_path / 'file').write_text('')
    with pytest.raises(ValueError, match=r'file/x cannot be a folder: .*file is a file'):
        evaluate(trained, EvaluationOptions(trained.work_dir, show_dir=tmp_path / 'file' / 'x'))
    mine = tmp_path / 'mine' / 'pictures'
    mine.mkdir(parents=True)
    Image.open(ade_root / 'images' / 'validation' / '0.jpg').save(mine / '0.png')
    with pytest.raises(ValueError, match=r'0\.png would be overwritten by its own result'):
        infer(trained, InferOptions(trained.work_dir, str(mine), tmp_path / 'mine'))


def test_tta_refuses_options_that_would_change_nothing(trained: ConfigOptions) -> None:
    with pytest.raises(ValueError, match=r'--tta uses tta_pipeline: test_dataloader.dataset.pipeline'):
        evaluate(trained, EvaluationOptions(trained.work_dir, tta=True))


def test_chosen_classes_are_saved_under_the_numbers_of_the_files(
    tiny_segmentor: Path, ade_root: Path, tmp_path: Path
) -> None:
    """Of 150 classes a config takes three; segmentation maps keep ADE20K's numbers for them."""
    path = tmp_path / 'chosen.py'
    meta = "metainfo=dict(classes=('building', 'sky', 'floor'))"  # 2, 3 and 4 in the files
    loaders = ''.join(f'{split}_dataloader = dict(dataset=dict({meta}))\n' for split in ('train', 'val', 'test'))
    head = 'model = dict(decode_head=dict(num_classes=3))\n'
    path.write_text(f'_base_ = {str(tiny_segmentor)!r}\n{loaders}{head}')
    options = ConfigOptions(path, SMALL, tmp_path / 'work', from_scratch=True)
    train(options)
    metrics = evaluate(
        options, EvaluationOptions(options.work_dir, save_segmentation_maps=tmp_path / 'segmentation_maps')
    )
    out = infer(options, InferOptions(options.work_dir, str(ade_root / 'images' / 'validation'), tmp_path / 'out'))
    right = total = 0
    for file in _map_files(tmp_path / 'segmentation_maps'):
        prediction = np.asarray(Image.open(file))
        assert set(np.unique(prediction)) <= {2, 3, 4}
        assert np.array_equal(prediction, np.asarray(Image.open(out / 'segmentation_maps' / file.name)))
        annotation = np.asarray(Image.open(ade_root / 'annotations' / 'validation' / file.name))
        counted = np.isin(annotation, [2, 3, 4])
        right, total = right + (prediction == annotation)[counted].sum(), total + counted.sum()
    assert metrics['aAcc'] == pytest.approx(right / total, abs=1e-12)
    rows = json.loads((options.work_dir / 'scores.json').read_text())['classes']
    assert [(row['label'], row['name']) for row in rows] == [(2, 'building'), (3, 'sky'), (4, 'floor')]


def test_classes_and_palette_are_checked(tiny_segmentor: Path, tmp_path: Path) -> None:
    def options(num_classes: int, **metainfo) -> ConfigOptions:
        path = tmp_path / 'classes.py'
        data = f'train_dataloader = dict(dataset=dict(metainfo={metainfo}))\n'
        head = f'model = dict(decode_head=dict(num_classes={num_classes}))\n'
        path.write_text(f'_base_ = {str(tiny_segmentor)!r}\n{data if metainfo else ""}{head}')
        return ConfigOptions(path, SMALL, tmp_path / 'work', from_scratch=True)

    assert 'decode_head.num_classes is 5, and the data set ADE20KDataset has 150 classes' in _mistake(options(5))
    (tmp_path / 'none.txt').write_text('')
    for empty in ([], str(tmp_path / 'none.txt')):
        assert 'ADE20KDataset has an empty list of classes' in _mistake(options(150, classes=empty))
    assert 'A class of ADE20KDataset must be one of wall' in _mistake(options(2, classes=['wall', 'skie']))
    message = _mistake(options(2, classes=['wall', 'sky'], palette=[[1, 2, 3]]))
    assert 'metainfo.palette of ADE20KDataset has 1 colours for 2 classes' in message


def test_num_classes_of_the_pipeline_is_checked(tiny_segmentor: Path, tmp_path: Path) -> None:
    override = 'train_dataloader.dataset.pipeline.1.num_classes=20'
    options = ConfigOptions(tiny_segmentor, [*SMALL, override], tmp_path / 'work', from_scratch=True)
    assert 'pipeline.1: num_classes is 20, and the segmentation maps of ADE20KDataset have 150 classes' in _mistake(
        options
    )


def test_pictures_of_another_kind_and_missing_folders(tiny_segmentor: Path, ade_root: Path, tmp_path: Path) -> None:
    options = ConfigOptions(tiny_segmentor, SMALL, tmp_path / 'work', from_scratch=True)
    for path in (ade_root / 'images' / 'validation').glob('*.jpg'):
        path.rename(path.with_suffix('.jpeg'))
    message = _mistake(options)
    assert 'names no pictures *.jpg; there are files of kind .jpeg' in message
    shutil.rmtree(ade_root / 'annotations')
    assert f'Not found: {ade_root / "annotations/validation"}' in _mistake(options)


def test_map_files_need_the_metric_that_writes_them(tiny_config: Path, tmp_path: Path) -> None:
    options = ConfigOptions(tiny_config, work_dir=tmp_path / 'work')
    train(options)
    with pytest.raises(
        ValueError, match=r'Segmentation maps are written for segmentors, by .*SegmentationMetric.* CocoMetric'
    ):
        evaluate(options, EvaluationOptions(tmp_path / 'work', save_segmentation_maps=tmp_path / 'segmentation_maps'))
    with pytest.raises(ValueError, match='Test-time augmentation needs tta_model and tta_pipeline'):
        evaluate(options, EvaluationOptions(tmp_path / 'work', tta=True))
