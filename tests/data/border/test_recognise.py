"""What lies in a folder, as tools export it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from effformer_dense.data.border.findings import Action, Findings
from effformer_dense.data.border.formats.coco_files import coco_tables
from effformer_dense.data.border.formats.labelme import LabelmeSet
from effformer_dense.data.border.formats.map_folders import MapSet
from effformer_dense.data.border.formats.via import ViaSet
from effformer_dense.data.border.image_records import ImageOptions, clean_images
from effformer_dense.data.border.picture_folder import PictureFolder
from effformer_dense.data.border.recognise import CocoSet, Found, recognise
from effformer_dense.data.border.tree import list_tree
from effformer_dense.errors import UserError

from .folders import write_map, write_picture, write_text, write_yolo

TABLE = {'images': [{'id': 1, 'file_name': 'a.jpg'}], 'annotations': [], 'categories': [{'id': 1, 'name': 'cat'}]}


def _recognise(root: Path, **options) -> Found:
    return recognise(list_tree(root), Findings(), **options)


@pytest.mark.parametrize(
    ('files', 'picture'),
    [
        ({'all': 'annotations/instances_default.json'}, 'images/a.jpg'),  # CVAT
        ({'train': 'train/_annotations.coco.json', 'val': 'valid/_annotations.coco.json'}, 'train/a.jpg'),  # Roboflow
        ({'all': 'result.json'}, 'images/a.jpg'),  # Label Studio
        ({'train': 'annotations/instances_train2017.json'}, 'train2017/a.jpg'),  # COCO
        ({'all': 'annotations.json'}, 'JPEGImages/a.jpg'),  # labelme2coco
    ],
)
def test_dialects_of_coco(files: dict[str, str], picture: str, tmp_path: Path) -> None:
    for file in files.values():
        write_text(tmp_path / file, json.dumps(TABLE))
    write_picture(tmp_path / picture)
    tree = list_tree(tmp_path)
    found = recognise(tree, Findings())
    assert isinstance(found, CocoSet) and found.files == files
    source = coco_tables(tree, found.files, Findings())[next(iter(files))]
    assert source.table['images'][0]['file_name'] == picture


def _table_of(root: Path, *rows: dict) -> dict:
    table = {**TABLE, 'images': [{'id': number, **row} for number, row in enumerate(rows, start=1)]}
    write_text(root / 'annotations' / 'all.json', json.dumps(table))
    return _coco_tables(root)['all'].table


def test_of_folders_with_the_same_names_the_one_whose_pictures_have_the_sizes(tmp_path: Path) -> None:
    for folder, scale in (('160px', 1), ('originals', 2), ('turned', 2)):
        for name in 'ab':
            sides = (60 * scale, 100 * scale) if folder == 'turned' and name == 'b' else (100 * scale, 60 * scale)
            write_picture(tmp_path / folder / f'{name}.jpg', *sides)
    write_picture(tmp_path / 'turned' / 'a.jpg', 30, 30)
    table = _table_of(tmp_path, *(dict(file_name=f'{name}.jpg', width=200, height=120) for name in 'ab'))
    assert [row['file_name'] for row in table['images']] == ['originals/a.jpg', 'originals/b.jpg']


def test_folders_that_nothing_tells_apart(tmp_path: Path) -> None:
    for seed, folder in enumerate(('day', 'night')):
        write_picture(tmp_path / folder / 'a.jpg', seed=seed)
    with pytest.raises(UserError, match=r'those in day, or those in night, .*: day/a\.jpg'):
        _table_of(tmp_path, dict(file_name='a.jpg'))
    write_picture(tmp_path / 'night' / 'a.jpg', seed=0)  # a copy
    assert _table_of(tmp_path, dict(file_name='a.jpg'))['images'][0]['file_name'] == 'day/a.jpg'
    write_picture(tmp_path / 'images' / 'a.jpg', seed=2)  # where tools put them
    assert _table_of(tmp_path, dict(file_name='a.jpg'))['images'][0]['file_name'] == 'images/a.jpg'


def test_records_of_two_cameras_are_not_joined(tmp_path: Path) -> None:
    """Names without the folders: of each number there are two pictures, and two records."""
    for seed, name in enumerate(('cam1/0', 'cam1/1', 'cam1/2', 'cam1/3', 'cam2/0')):
        write_picture(tmp_path / 'images' / f'{name}.jpg', seed=seed)
    table = _table_of(tmp_path, *(dict(file_name=f'{number}.jpg') for number in (0, 1, 2, 3, 0)))
    findings = Findings()
    pictures = clean_images(table['images'], 'all.json', PictureFolder(tmp_path), findings, ImageOptions())
    assert [picture.file_name for picture in pictures] == [f'images/cam1/{number}.jpg' for number in (1, 2, 3)]
    assert findings.count(Action.DROPPED, 'picture ambiguous') == 2
    assert findings.count(Action.REPAIRED, 'picture listed twice') == 0


def test_a_test_split_without_annotations(tmp_path: Path) -> None:
    """COCO's ``image_info_test2017.json`` beside the others; alone, it is no data set."""
    info = {name: rows for name, rows in TABLE.items() if name != 'annotations'}
    write_text(tmp_path / 'annotations' / 'image_info_test2017.json', json.dumps(info))
    write_picture(tmp_path / 'test2017' / 'a.jpg')
    with pytest.raises(UserError, match='has no list annotations'):
        _coco_tables(tmp_path)
    write_text(tmp_path / 'annotations' / 'instances_train2017.json', json.dumps(TABLE))
    write_picture(tmp_path / 'train2017' / 'a.jpg')
    tables = _coco_tables(tmp_path)
    assert (
        tables['test'].table['annotations'] == []
        and tables['train'].table['images'][0]['file_name'] == 'train2017/a.jpg'
    )


def _coco_tables(root: Path) -> dict:
    tree = list_tree(root)
    found = recognise(tree, Findings(), 'coco')
    assert isinstance(found, CocoSet)
    return coco_tables(tree, found.files, Findings())


def test_two_files_of_one_split_are_refused(tmp_path: Path) -> None:
    for name in ('one.json', 'two.json'):
        write_text(tmp_path / name, json.dumps(TABLE))
    with pytest.raises(UserError, match=r'one.json and two.json are both COCO files'):
        _recognise(tmp_path)


@pytest.mark.parametrize(
    ('picture', 'seg_map', 'split'),
    [
        ('images/a.jpg', 'masks/a.png', 'all'),
        ('images/a.jpg', 'masks/a_mask.png', 'all'),
        ('images/a.png', 'labels/a.png', 'all'),
        ('images/train/a.jpg', 'annotations/train/a.png', 'train'),
        ('valid/images/a.jpg', 'valid/masks/a.png', 'val'),
        ('train/a.jpg', 'train/a_mask.png', 'train'),  # Roboflow
        ('train/a.png', 'trainannot/a.png', 'train'),  # CamVid
        ('JPEGImages/a.jpg', 'SegmentationClass/a.png', 'all'),  # VOC, CVAT
        ('images/training/ADE_train_1.jpg', 'annotations/training/ADE_train_1.png', 'train'),
        ('leftImg8bit/val/ulm/ulm_0_leftImg8bit.png', 'gtFine/val/ulm/ulm_0_gtFine_labelTrainIds.png', 'val'),
        ('img/a.jpg', 'gt/a-truth.png', 'all'),  # an ending that nobody knows
        ('imgs/x/a.jpg', 'segs/x/a.png', 'all'),
    ],
)
def test_pictures_and_their_maps(picture: str, seg_map: str, split: str, tmp_path: Path) -> None:
    write_picture(tmp_path / picture)
    write_map(tmp_path / seg_map, np.zeros((60, 100), np.uint8))
    found = _recognise(tmp_path)
    assert isinstance(found, MapSet) and found.pairs == {split: [(picture, seg_map)]}


@pytest.mark.parametrize(
    'kinds',
    [
        ('{}', '{}annot'),
        ('{}', '{}_labels'),
        ('{}_images', '{}_masks'),
        ('images/{}', 'annotations/{}'),
        ('{}', '{}_gt'),
    ],
)
def test_splits_of_pictures_and_maps_are_kept(kinds: tuple[str, str], tmp_path: Path) -> None:
    """Unequal in size: none of the folders stands for all of them."""
    wanted = {}
    for split, count in (('train', 3), ('val', 1), ('test', 2)):
        pictures, maps = (kind.format(split) for kind in kinds)
        for number in range(count):
            write_picture(tmp_path / pictures / f'{number}.jpg')
            write_map(tmp_path / maps / f'{number}.png', np.zeros((60, 100), np.uint8))
        wanted[split] = [(f'{pictures}/{number}.jpg', f'{maps}/{number}.png') for number in range(count)]
    found = _recognise(tmp_path)
    assert isinstance(found, MapSet) and found.pairs == wanted


def test_what_is_neither_picture_nor_map_is_no_loss(tmp_path: Path) -> None:
    """CVAT's masks of instances."""
    write_picture(tmp_path / 'JPEGImages' / 'a.jpg')
    for kind in ('SegmentationClass', 'SegmentationObject'):
        write_map(tmp_path / kind / 'a.png', np.zeros((60, 100), np.uint8))
    findings = Findings()
    found = recognise(list_tree(tmp_path), findings)
    assert isinstance(found, MapSet) and len(found.pairs['all']) == 1 and findings.count() == 0


def test_cityscapes_maps_for_training_go_before_ids(tmp_path: Path) -> None:
    write_picture(tmp_path / 'leftImg8bit/train/ulm/ulm_0_leftImg8bit.png')
    for kind in ('labelIds', 'labelTrainIds', 'instanceIds', 'color'):
        write_map(tmp_path / f'gtFine/train/ulm/ulm_0_gtFine_{kind}.png', np.zeros((60, 100), np.uint8))
    found = _recognise(tmp_path)
    assert isinstance(found, MapSet) and found.train_ids and not found.city_ids


def test_pictures_of_one_name_have_one_map(tmp_path: Path) -> None:
    for suffix in ('jpg', 'png'):
        write_picture(tmp_path / 'images' / f'a.{suffix}')
    write_map(tmp_path / 'masks' / 'a.png', np.zeros((60, 100), np.uint8))
    findings = Findings()
    found = recognise(list_tree(tmp_path), findings)
    assert isinstance(found, MapSet) and found.pairs == {'all': [('images/a.jpg', 'masks/a.png')]}
    finding = findings.only(Action.DROPPED, 'picture without map')
    assert finding is not None and finding.file == 'images/a.png'


def test_maps_called_after_the_whole_name(tmp_path: Path) -> None:
    names = ('0.jpg', '1.jpg', '4.png')
    for name in names:
        write_picture(tmp_path / 'img' / name)
        write_map(tmp_path / 'masks' / f'{name}.png', np.zeros((60, 100), np.uint8))
    found = _recognise(tmp_path)
    assert isinstance(found, MapSet)
    assert found.pairs == {'all': [(f'img/{name}', f'masks/{name}.png') for name in names]}


def test_names_that_are_no_text(tmp_path: Path) -> None:
    """As archives of old systems are unpacked."""
    write_picture(tmp_path / 'a.jpg')
    os.rename(tmp_path / 'a.jpg', os.fsencode(tmp_path) + b'/stra\xdfe.jpg')
    write_text(tmp_path / 'b.txt', '')
    tree = list_tree(tmp_path)
    assert tree.files == {'': ['b.txt']} and tree.misnamed == ('stra\\udcdfe.jpg',)


def test_numbered_pictures_are_no_maps_of_each_other(tmp_path: Path) -> None:
    for name in ('1', '10', '11'):
        write_picture(tmp_path / f'{name}.png')
    with pytest.raises(UserError, match=r'nothing is recognised; it holds \.: 3 files \.png'):
        _recognise(tmp_path)


def test_a_folder_that_looks_like_two_formats(tmp_path: Path) -> None:
    write_yolo(tmp_path, {'a.jpg': '0 0.5 0.5 0.2 0.2\n'}, 'train: images/train\nnames: [cat]\n')
    write_text(tmp_path / 'result.json', json.dumps(TABLE))
    with pytest.raises(UserError, match=r'looks like coco and like yolo.*--format coco or --format yolo'):
        _recognise(tmp_path)
    assert isinstance(_recognise(tmp_path, wanted='coco'), CocoSet)
    with pytest.raises(UserError, match=r'nothing that looks like voc'):
        _recognise(tmp_path, wanted='voc')


@pytest.mark.parametrize(
    ('content', 'kind'),
    [
        ('{"version": "5", "shapes": [], "imagePath": "a.jpg"}', LabelmeSet({'all': ['a.json']})),
        ('{"shapes": [], "imageData": "' + 'x' * 200_000 + '", "imageHeight": 60}', LabelmeSet({'all': ['a.json']})),
        ('{"_via_settings": {}, "_via_img_metadata": {}}', ViaSet({'all': 'a.json'})),
        ('{"a.jpg1": {"filename": "a.jpg", "size": 1, "regions": []}}', ViaSet({'all': 'a.json'})),
        (json.dumps(TABLE), CocoSet({'all': 'a.json'})),
    ],
)
def test_kinds_of_json(content: str, kind: Found, tmp_path: Path) -> None:
    write_text(tmp_path / 'a.json', content)
    write_text(tmp_path / 'config.json', '{"epochs": 3}')
    assert _recognise(tmp_path) == kind


def test_maps_that_were_saved_as_jpeg(tmp_path: Path) -> None:
    for folder in ('images', 'masks'):
        write_picture(tmp_path / folder / 'a.jpg')
    with pytest.raises(UserError, match=r'masks holds JPEG files.*export them as PNG'):
        _recognise(tmp_path)


def test_links_that_lead_out_of_the_folder(tmp_path: Path) -> None:
    write_picture(tmp_path / 'elsewhere' / 'a.jpg')
    (tmp_path / 'set').mkdir()
    (tmp_path / 'set' / 'images').symlink_to(tmp_path / 'elsewhere')
    with pytest.raises(UserError, match=r'images is a link to .*elsewhere, outside .*--outside-root'):
        list_tree(tmp_path / 'set')
    assert list_tree(tmp_path / 'set', outside_root=True).files == {'images': ['a.jpg']}
    (tmp_path / 'set' / 'images').unlink()
    (tmp_path / 'set' / 'circle').symlink_to(tmp_path / 'set')
    write_text(tmp_path / 'set' / 'x.txt', '')
    assert list_tree(tmp_path / 'set').files == {'': ['x.txt']}


def test_folders_that_are_none(tmp_path: Path) -> None:
    for path, message in ((tmp_path, 'holds no files'), (tmp_path / 'gone', 'does not exist')):
        with pytest.raises(UserError, match=message):
            list_tree(path)
