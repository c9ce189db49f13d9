"""From the folder of an annotation tool to a config that passes every check, and trains."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image

from effformer_dense.commands.cli import parse_and_call
from effformer_dense.engine.own_data import prepare_own_data
from effformer_dense.engine.runner import load_checked_config, train
from effformer_dense.errors import UserError
from effformer_dense.options import ConfigOptions, OwnDataOptions
from tests.data.border.folders import write_map, write_picture, write_text, write_yolo

POLYGON = '{} 0.1 0.1 0.6 0.1 0.6 0.7\n'
BOX = '{} 0.5 0.5 0.4 0.4\n'
YAML = 'path: .\ntrain: images/train\nnames: [nut, bolt]\n'
SMALL = (
    'train_cfg.max_epochs=1',
    'train_cfg.val_interval=1',
    'train_dataloader.dataset.pipeline.2.scale=(96,96)',
    'val_dataloader.dataset.pipeline.1.scale=(96,96)',
    'model.train_cfg.rpn_proposal.max_per_img=50',
    'model.test_cfg.rpn.max_per_img=50',
    *(f'{split}_dataloader.num_workers=0' for split in ('train', 'val')),
    *(f'{split}_dataloader.persistent_workers=False' for split in ('train', 'val')),
)


def _yolo(root: Path, line: str = POLYGON, count: int = 6) -> Path:
    write_yolo(root, {f'{number} ü.jpg': line.format(number % 2) for number in range(count)}, YAML)
    return root


def _maps(
    root: Path, suffixes: tuple[str, ...] = ('.jpg',), values: tuple[int, int] = (0, 255), count: int = 6
) -> Path:
    for number in range(count):
        write_picture(root / 'images' / f'{number}{suffixes[number % len(suffixes)]}', seed=number)
        seg_map = np.full((60, 100), values[0], np.uint8)
        seg_map[10:30, 20:70] = values[1]
        write_map(root / 'masks' / f'{number}_mask.png', seg_map)
    return root


def _prepared(root: Path, **options: Any) -> tuple[Path, Config]:
    """Folder of results, and the config it holds after every check."""
    prepare_own_data(root, OwnDataOptions(from_scratch=True, **options))
    out = root.with_name(f'{root.name}_prepared')
    (config,) = out.glob('*.py')
    return out, load_checked_config(ConfigOptions(config), ('train', 'val', 'test'))


def _digest(root: Path) -> dict[str, str]:
    return {str(p): hashlib.md5(p.read_bytes()).hexdigest() for p in sorted(root.rglob('*')) if p.is_file()}


def test_polygons_make_a_mask_rcnn_and_the_original_stays(tmp_path: Path) -> None:
    root = _yolo(tmp_path / 'my set')
    before = _digest(root)
    out, cfg = _prepared(root)
    assert _digest(root) == before and out.name == 'my set_prepared'
    assert cfg.model.type == 'MaskRCNN' and cfg.model.roi_head.mask_head.num_classes == 2
    assert cfg.model.backbone.init_cfg.type == 'Constant'
    tables = [json.loads((out / 'annotations' / f'{split}.json').read_text()) for split in ('train', 'val')]
    assert [len(table['images']) for table in tables] == [4, 2]  # each class has one of its three on the other side
    assert [row['name'] for row in tables[0]['categories']] == ['nut', 'bolt']
    assert (out / 'report.jsonl').read_text() == '', 'nothing had to be changed'


def test_boxes_make_a_faster_rcnn_unless_they_are_masks(tmp_path: Path) -> None:
    out, cfg = _prepared(_yolo(tmp_path / 'set', BOX))
    assert cfg.model.type == 'FasterRCNN' and cfg.model.roi_head.get('mask_head') is None
    shutil.rmtree(out)
    _, cfg = _prepared(_yolo(tmp_path / 'set', BOX), masks_from_boxes=True)
    assert cfg.model.type == 'MaskRCNN'


def test_coco_with_splits_whose_categories_differ_in_order(tmp_path: Path) -> None:
    root = tmp_path / 'set'
    for split, folder, names in (('train', 'train', ['nut', 'bolt']), ('val', 'valid', ['bolt', 'nut'])):
        write_picture(root / folder / 'a.jpg', seed=len(split))
        row = dict(id=1, image_id=1, category_id=names.index('bolt'), bbox=[10, 10, 30, 30], segmentation=[])
        table = dict(images=[dict(id=1, file_name='a.jpg', width=100, height=60)], annotations=[row])
        table['categories'] = [dict(id=number, name=name) for number, name in enumerate(names)]
        write_text(root / folder / '_annotations.coco.json', json.dumps(table))
    out, cfg = _prepared(root)
    tables = [json.loads((out / 'annotations' / f'{split}.json').read_text()) for split in ('train', 'val')]
    assert tables[0]['categories'] == tables[1]['categories']
    assert [table['annotations'][0]['category_id'] for table in tables] == [2, 2]
    assert [table['images'][0]['file_name'] for table in tables] == ['train/a.jpg', 'valid/a.jpg']
    assert list(cfg.train_dataloader.dataset.metainfo.classes) == ['nut', 'bolt']


def test_coco_splits_whose_pictures_have_the_same_names(tmp_path: Path) -> None:
    root = tmp_path / 'set'
    for seed, split in enumerate(('Train', 'Validation')):
        images = [dict(id=n, file_name=f'frame_{n}.PNG', width=100, height=60) for n in range(4)]
        boxes = [dict(id=n + 1, image_id=n, category_id=1, bbox=[1, 1, 20, 20 + seed], iscrowd=0) for n in range(4)]
        for n in range(4):
            write_picture(root / 'images' / split / f'frame_{n}.PNG', seed=10 * seed + n)
        table = dict(images=images, annotations=boxes, categories=[dict(id=1, name='cat')])
        write_text(root / 'annotations' / f'instances_{split}.json', json.dumps(table))
    out, _ = _prepared(root)
    for name, split in (('train', 'Train'), ('val', 'Validation')):
        table = json.loads((out / 'annotations' / f'{name}.json').read_text())
        assert {Path(row['file_name']).parent.name for row in table['images']} == {split}


@pytest.mark.parametrize(
    ('chosen', 'classes', 'objects'),
    [
        ((), ('cat', 'dog'), 6),
        (('dog',), ('dog',), 0),
        (('dog', 'cat'), ('dog', 'cat'), 6),
        (('a', 'b'), ('a', 'b'), 6),
    ],
)
def test_classes_of_yolo_are_chosen_by_name(
    chosen: tuple[str, ...], classes: tuple[str, ...], objects: int, tmp_path: Path
) -> None:
    """All objects are cats, which the file of names has first."""
    root = _yolo(tmp_path / 'set', '0 0.5 0.5 0.2 0.2')
    write_text(root / 'data.yaml', YAML.replace('nut, bolt', 'cat, dog'))
    if not objects:
        with pytest.raises(UserError, match='of 6 annotations none can be used'):
            _prepared(root, classes=chosen)
        return
    out, cfg = _prepared(root, classes=chosen)
    assert tuple(cfg.train_dataloader.dataset.metainfo.classes) == classes
    tables = [json.loads((out / 'annotations' / f'{split}.json').read_text()) for split in ('train', 'val')]
    names = {row['id']: row['name'] for row in tables[0]['categories']}
    found = [names[row['category_id']] for table in tables for row in table['annotations']]
    assert found == ['cat' if 'cat' in classes else 'a'] * objects


def test_classes_of_yolo_that_are_no_choice(tmp_path: Path) -> None:
    root = _yolo(tmp_path / 'set')
    write_text(root / 'data.yaml', YAML.replace('nut, bolt', 'cat, dog'))
    with pytest.raises(
        UserError, match=r"--classes: 'bird' is none of the classes that the file has, cat, dog\. Choose"
    ):
        _prepared(root, classes=('bird',))
    with pytest.raises(UserError, match="'dgo' is none of the classes"):  # a slip must not rename what is before it
        _prepared(root, classes=('dgo', 'cat'))


def test_a_test_split_that_nobody_has_annotated(tmp_path: Path) -> None:
    root = tmp_path / 'set'
    for seed, split in enumerate(('train', 'val', 'test')):
        write_picture(root / split / 'a.jpg', seed=seed)
        rows = [dict(id=1, image_id=1, category_id=1, bbox=[10, 10, 30, 30])] if split != 'test' else []
        table = dict(images=[dict(id=1, file_name='a.jpg', width=100, height=60)], annotations=rows)
        write_text(root / split / 'coco.json', json.dumps({**table, 'categories': [dict(id=1, name='nut')]}))
    out, cfg = _prepared(root)
    assert not (out / 'annotations' / 'test.json').exists()
    assert cfg.test_dataloader.dataset.ann_file.endswith('annotations/val.json')


def test_masks_of_0_and_255(tmp_path: Path) -> None:
    out, cfg = _prepared(_maps(tmp_path / 'set'), classes=('ground', 'crack'))
    assert cfg.model.decode_head.num_classes == 2 and cfg.train_dataloader.dataset.pipeline[1].num_classes == 2
    assert len(list((out / 'segmentation_maps').glob('*.png'))) == 6
    assert 'masks of 0 and 255' in (out / 'report.jsonl').read_text()


def _layout(root: Path, pairs: dict[str, str], values: tuple[int, ...]) -> Path:
    for seed, (picture, seg_map) in enumerate(pairs.items()):
        write_picture(root / picture, seed=seed)
        write_map(root / seg_map, np.repeat(np.array(values, np.uint8), 60 * 100 // len(values)).reshape(60, 100))
    return root


def test_a_part_of_ade20k_counts_from_1_and_has_its_colours(tmp_path: Path) -> None:
    pairs = {
        f'images/{folder}/ADE_{split}_0000000{number}.jpg': f'annotations/{folder}/ADE_{split}_0000000{number}.png'
        for folder, split in (('training', 'train'), ('validation', 'val'))
        for number in (1, 2)
    }
    root = _layout(tmp_path / 'ADEChallengeData2016', pairs, (0, 1, 2, 3))  # 150, the last class, is in no map
    out, cfg = _prepared(root)
    seg_map = np.asarray(Image.open(out / 'segmentation_maps' / 'training' / 'ADE_train_00000001.png'))
    assert sorted(np.unique(seg_map)) == [0, 1, 2, 255]
    meta = cfg.train_dataloader.dataset.metainfo
    assert len(meta.classes) == 150 and list(meta.classes[:3]) == ['wall', 'building', 'sky']
    assert [tuple(colour) for colour in meta.palette[:2]] == [(120, 120, 120), (180, 120, 120)]


def test_a_table_of_classes_goes_before_names_of_ade20k(tmp_path: Path) -> None:
    pairs = {f'images/ADE_val_0000000{n}.jpg': f'masks/ADE_val_0000000{n}.png' for n in range(3)}
    root = _layout(tmp_path / 'set', pairs, (0, 1))
    write_text(root / 'classes.txt', 'ground\nwall\n')
    _, cfg = _prepared(root)
    assert list(cfg.train_dataloader.dataset.metainfo.classes) == ['ground', 'wall']


@pytest.mark.parametrize('kind', ['labelIds', 'labelTrainIds'])
def test_cityscapes_with_its_test_split_that_has_no_labels(kind: str, tmp_path: Path) -> None:
    root = tmp_path / 'cityscapes'
    values = {'labelIds': (3, 7, 8, 23), 'labelTrainIds': (255, 0, 1, 10)}[kind]
    for split, city, own in (('train', 'ulm', values), ('val', 'lindau', values), ('test', 'berlin', values[:1])):
        stem = f'{split}/{city}/{city}_000000_000019'
        _layout(root, {f'leftImg8bit/{stem}_leftImg8bit.png': f'gtFine/{stem}_gtFine_{kind}.png'}, own)
        write_text(root / f'gtFine/{stem}_gtFine_polygons.json', '{"imgHeight": 60, "objects": []}')
    out, cfg = _prepared(root)
    seg_map = np.asarray(Image.open(out / 'segmentation_maps/train/ulm/ulm_000000_000019_leftImg8bit.png'))
    assert sorted(np.unique(seg_map)) == [0, 1, 10, 255]
    assert cfg.test_dataloader.dataset.ann_file.endswith('val.txt'), 'nothing can be scored of the test split'
    assert tuple(cfg.train_dataloader.dataset.metainfo.palette[0]) == (128, 64, 128)


def test_pictures_with_several_suffixes_stay_where_they_are(tmp_path: Path) -> None:
    out, cfg = _prepared(_maps(tmp_path / 'set', ('.jpg', '.JPG', '.png'), (0, 1)))
    assert cfg.train_dataloader.dataset.img_suffix == ''
    assert (out / 'segmentation_maps' / '0.jpg.png').is_file()


def test_names_of_255_bytes(tmp_path: Path) -> None:
    root = _maps(tmp_path / 'set', values=(0, 1), count=2)
    long = 'ü' * 125  # 250 bytes, and a suffix
    (root / 'images' / '0.jpg').rename(root / 'images' / f'{long}.jpg')
    (root / 'masks' / '0_mask.png').rename(root / 'masks' / f'{long}.png')
    (root / 'masks' / '1_mask.png').rename(root / 'masks' / '1.png')
    out, _ = _prepared(root)
    assert (out / 'segmentation_maps' / f'{long}.png').is_file()


def test_strict_allows_no_change_and_leaves_the_report(tmp_path: Path) -> None:
    root = _yolo(tmp_path / 'set')
    write_text(root / 'labels' / 'train' / '0 ü.txt', 'foo\n')
    out = tmp_path / 'set_prepared'
    with pytest.raises(
        UserError, match=r"--strict allows none:\n.*line is no object: labels/train/0 ü.txt line 1: 'foo'"
    ):
        prepare_own_data(root, OwnDataOptions(strict=True))
    assert [path.name for path in out.iterdir()] == ['report.jsonl']
    prepare_own_data(root, OwnDataOptions())


def test_strict_takes_what_names_its_classes(tmp_path: Path) -> None:
    labels = [dict(label=name, points=[[10, 10], [30, 10], [30, 40]], shape_type='polygon') for name in ('nut', 'bolt')]
    for number in range(4):
        write_picture(tmp_path / 'set' / f'{number}.jpg', seed=number)
        content = dict(shapes=labels, imagePath=f'{number}.jpg', imageHeight=60, imageWidth=100)
        write_text(tmp_path / 'set' / f'{number}.json', json.dumps(content))
    _, cfg = _prepared(tmp_path / 'set', strict=True)
    assert list(cfg.train_dataloader.dataset.metainfo.classes) == ['bolt', 'nut'] and cfg.model.type == 'MaskRCNN'


def test_strict_refuses_what_is_doubtful_as_well(tmp_path: Path) -> None:
    root = _yolo(tmp_path / 'set', BOX)
    shutil.copy(root / 'images' / 'train' / '0 ü.jpg', root / 'images' / 'train' / '2 ü.jpg')
    with pytest.raises(UserError, match=r'--strict allows none(?s:.*)1 doubtful, nearly the same pictures'):
        prepare_own_data(root, OwnDataOptions(strict=True))
    with pytest.raises(UserError, match='classes without names'):
        prepare_own_data(_maps(tmp_path / 'maps', values=(0, 1)), OwnDataOptions(strict=True))
    assert not list((tmp_path / 'maps_prepared').glob('*.py'))


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(base='maskrcnn_v9'), 'no config of ours'),
        (dict(base='maskrcnn_v2_s0_shapes'), 'no Resize as step 2 of train_pipeline: LoadImageFromFile, .*RandomFlip'),
        (dict(base='semfpn_v2_s0_ade20k'), 'build on maskrcnn_v2_s1_coco or fasterrcnn_v2_s1_coco'),
        (dict(out=Path('inside')), 'which is never changed'),
        (dict(format='voc'), 'nothing that looks like voc'),
    ],
)
def test_options_that_cannot_be(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    root = _yolo(tmp_path / 'set')
    if 'out' in options:
        options = {'out': root / options['out']}
    with pytest.raises(UserError, match=message):
        prepare_own_data(root, OwnDataOptions(**options))
    assert not (tmp_path / 'set_prepared').exists()


def test_results_do_not_replace_what_is_not_theirs(tmp_path: Path) -> None:
    root = _yolo(tmp_path / 'set')
    write_text(tmp_path / 'set_prepared' / 'thesis.txt', 'mine')
    with pytest.raises(UserError, match='holds something else'):
        prepare_own_data(root, OwnDataOptions())


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = _yolo(tmp_path / 'set')
    parse_and_call('prepare-data', ['own', str(root), '--out', str(tmp_path / 'new'), '--val-fraction', '0.5'])
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.endswith(f'train {tmp_path}/new/set.py')
    with pytest.raises(UserError, match='takes the folder'):
        parse_and_call('prepare-data', ['own'])


@pytest.mark.slow
def test_what_was_prepared_trains(tmp_path: Path) -> None:
    root = _yolo(tmp_path / 'set')
    prepare_own_data(root, OwnDataOptions(from_scratch=True))
    config = tmp_path / 'set_prepared' / 'set.py'
    work_dir = train(ConfigOptions(config, cfg_options=SMALL, work_dir=tmp_path / 'work'))
    (log,) = work_dir.glob('*/vis_data/scalars.json')
    assert any('coco/segm_mAP' in line for line in log.read_text().splitlines())


def test_another_run_leaves_no_split_of_the_one_before(tmp_path: Path) -> None:
    root = _yolo(tmp_path / 'set', BOX)
    prepare_own_data(root, OwnDataOptions())
    stale = tmp_path / 'set_prepared' / 'annotations' / 'test.json'
    stale.write_text('{}')
    prepare_own_data(root, OwnDataOptions())
    assert not stale.exists() and stale.with_name('train.json').exists()
