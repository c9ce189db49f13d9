"""COCO files read by a run: mmdet and COCOeval get what the border would give them, from the file or from a copy."""

from __future__ import annotations

import contextlib
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mmdet.datasets import CocoDataset, CocoPanopticDataset, LVISV1Dataset
from mmengine.registry import init_default_scope
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from effformer_dense.config.datasets import DatasetView, view
from effformer_dense.data.border.canonical import write_coco
from effformer_dense.data.border.findings import Findings
from effformer_dense.detection.annotations import PUBLISHED, fit_annotations, is_coco
from effformer_dense.errors import UserError
from effformer_dense.tasks import Reading
from tests.data.border.cases import CASES, REFUSED
from tests.data.border.changes import put
from tests.data.border.records import HEIGHT, WIDTH, Table, clean, make_pictures, save, square, table

#: One kind of finding each.
IN_PUBLISHED_FILES: dict[str, dict[str, Any]] = {
    'box outside': {'bbox': [200, 10, 20, 12]},
    'box under a pixel': {'bbox': [10, 10, 0.5, 12]},
    'mask outside': {'bbox': [44, 10, 20, 12], 'segmentation': [square(44, 10, 40, 12)], 'area': 240},
    'mask without pixels': {'bbox': [12, 10, 20, 12], 'segmentation': [square(10, 10, 20, 12), [0, 0, 0, 0, 0, 0]]},
    'object listed twice': {},
}


@pytest.fixture(autouse=True)
def _scope() -> None:
    init_default_scope('mmdet')


@pytest.fixture(scope='module')
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pictures(tmp_path_factory.mktemp('pictures'))


def data_set(path: Path, spoilt: Table, pictures: Path, classes: tuple[str, ...] = ('cat', 'dog')) -> DatasetView:
    path.write_text(json.dumps(spoilt))
    node = dict(type='CocoDataset', ann_file=str(path), data_prefix=dict(img=f'{pictures}/'))
    return view({**node, 'metainfo': dict(classes=classes)})


def objects(path: Path, pictures: Path, classes: tuple[str, ...]) -> set[tuple]:
    """What mmdet trains on: picture, class, whether it is ignored, box, whether there is a mask."""
    with contextlib.redirect_stdout(io.StringIO()):
        read = CocoDataset(
            ann_file=str(path), data_prefix={'img': str(pictures)}, metainfo={'classes': classes}, pipeline=[]
        )
    found = set()
    for info in read:
        assert Path(info['img_path']).is_file() and (info['width'], info['height']) == (WIDTH, HEIGHT)
        for one in info['instances']:
            box = tuple(round(number, 6) for number in one['bbox'])
            found.add((info['img_path'], one['bbox_label'], one['ignore_flag'], box, one.get('mask', [[]]) != [[]]))
    return found


def score_of_the_truth(path: Path, truth: Table) -> float:
    """AP by COCOeval of predictions that are the canonical objects."""
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(path))
        ids = {row['file_name'].rpartition('/')[2].lower(): row['id'] for row in coco.dataset['images']}
        names = {row['name']: row['id'] for row in coco.dataset['categories']}
        pictures = {row['id']: ids[row['file_name'].rpartition('/')[2]] for row in truth['images']}
        classes = {row['id']: names[row['name']] for row in truth['categories']}
        results = [
            dict(
                image_id=pictures[row['image_id']],
                category_id=classes[row['category_id']],
                bbox=[float(number) for number in row['bbox']],
                score=0.9,
            )
            for row in truth['annotations']
            if not row['iscrowd']
        ]
        evaluation = COCOeval(coco, coco.loadRes(results), 'bbox')
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return float(evaluation.stats[0])


def read_in_place(dataset: DatasetView, fitted: Table | None, copy: Path) -> Path:
    """The file that a run reads."""
    assert dataset.annotation is not None
    if fitted is None:
        return dataset.annotation
    write_coco(copy, fitted)
    return copy


@pytest.mark.parametrize('name', CASES)
def test_frameworks_read_what_the_border_would_write(tmp_path: Path, pictures: Path, name: str) -> None:
    spoilt = table()
    CASES[name][0](spoilt)
    truth, _ = clean(spoilt, pictures)
    classes = tuple(row['name'] for row in truth['categories'])
    write_coco(tmp_path / 'truth.json', truth)
    dataset = data_set(tmp_path / 'train.json', spoilt, pictures, classes)
    read = read_in_place(dataset, fit_annotations(dataset, Reading(), Findings()), tmp_path / 'copy.json')
    assert objects(read, pictures, classes) == objects(tmp_path / 'truth.json', pictures, classes)
    assert score_of_the_truth(read, truth) == pytest.approx(1)


@pytest.mark.parametrize('kind', IN_PUBLISHED_FILES)
def test_a_published_file_is_read_to_the_letter(tmp_path: Path, pictures: Path, kind: str) -> None:
    spoilt = table()
    spoilt['annotations'].append({**spoilt['annotations'][0], 'id': 7, **IN_PUBLISHED_FILES[kind]})
    own = data_set(tmp_path / 'train.json', spoilt, pictures)
    published = replace(own, cls=type('PublishedDataset', (CocoDataset,), dict(METAINFO=dict(classes=own.classes))))
    findings = Findings()
    assert fit_annotations(published, Reading(), findings) is None
    assert findings.count(kind=kind) == 1 == findings.count()
    assert fit_annotations(own, Reading(), Findings()) is not None


def test_every_kind_that_is_left_in_a_published_file_is_tried() -> None:
    assert set(IN_PUBLISHED_FILES) == PUBLISHED


def test_some_of_a_benchmarks_classes(tmp_path: Path, pictures: Path) -> None:
    """As COCO is used: gaps in the ids, a root without objects, one class chosen; the file is read as it is."""
    spoilt = table()
    for row in (*spoilt['categories'], *spoilt['annotations']):
        key = 'category_id' if 'category_id' in row else 'id'
        row[key] += 10
    spoilt['categories'].insert(0, {'id': 1, 'name': 'animal'})
    spoilt['categories'][1]['supercategory'] = 'animal'
    findings = Findings()
    dataset = data_set(tmp_path / 'train.json', spoilt, pictures, ('dog',))
    assert fit_annotations(dataset, Reading(), findings) is None
    assert {label for _, label, *_ in objects(tmp_path / 'train.json', pictures, ('dog',))} == {0}


@pytest.mark.parametrize('classes', [('cat', 'dog'), ('dog', 'cat')])
def test_classes_go_by_name(tmp_path: Path, pictures: Path, classes: tuple[str, ...]) -> None:
    """mmdet numbers by the order of the file: with two files of two orders, AP falls to chance without a word."""
    dataset = data_set(tmp_path / 'train.json', table(), pictures, classes)
    read = read_in_place(dataset, fit_annotations(dataset, Reading(), Findings()), tmp_path / 'copy.json')
    labels = {Path(name).name: classes[label] for name, label, *_ in objects(read, pictures, classes)}
    assert labels['b.png'] == 'dog'


def test_a_copy_keeps_the_files_ids(tmp_path: Path, pictures: Path) -> None:
    """Results that are written by them can be compared with the user's own file."""
    spoilt = table()
    spoilt['categories'] = [{'id': 12, 'name': 'dog'}, {'id': 0, 'name': 'cat'}]
    for row in spoilt['annotations']:
        row['category_id'] = {1: 0, 2: 12}[row['category_id']]
        del row['iscrowd']
    fitted = fit_annotations(data_set(tmp_path / 'train.json', spoilt, pictures), Reading(), Findings())
    assert fitted is not None and fitted['categories'] == [{'id': 0, 'name': 'cat'}, {'id': 12, 'name': 'dog'}]
    assert [row['category_id'] for row in fitted['annotations']] == [0, 12, 12]
    assert [row['id'] for row in fitted['images']] == [3, 5, 8]


@pytest.mark.parametrize('name', REFUSED)
def test_refused(tmp_path: Path, pictures: Path, name: str) -> None:
    spoil, message = REFUSED[name]
    spoilt = table()
    spoil(spoilt)
    with pytest.raises(UserError, match=message):
        fit_annotations(data_set(tmp_path / 'train.json', spoilt, pictures), Reading(), Findings())


def test_lost_pictures_are_left_out_of_training_and_refused_in_scoring(tmp_path: Path, pictures: Path) -> None:
    spoilt = table()
    put('images.1.file_name', 'gone.png')(spoilt)
    dataset = data_set(tmp_path / 'train.json', spoilt, pictures)
    fitted = fit_annotations(dataset, Reading(), Findings())
    assert fitted is not None and len(fitted['images']) == 2
    with pytest.raises(UserError, match=r'1 of its pictures cannot be used.*(?s:.*)image 5, gone.png: not in'):
        fit_annotations(dataset, Reading(evaluator={}), Findings())


def test_masks_where_they_are_needed(tmp_path: Path, pictures: Path) -> None:
    """Many objects without one are refused, few are left out; a head for boxes does not ask."""
    dataset = data_set(tmp_path / 'train.json', table(), pictures)
    assert fit_annotations(dataset, Reading(), Findings()) is None
    with_masks = replace(dataset, pipeline=[dict(type='LoadAnnotations', with_bbox=True, with_mask=True)])
    with pytest.raises(UserError, match=r'1 of 3 objects have no mask.*fasterrcnn_v2_s1_coco.*--masks-from-boxes'):
        fit_annotations(with_masks, Reading(), Findings())
    with pytest.raises(UserError, match='1 of 3 objects have no mask'):
        fit_annotations(dataset, Reading(evaluator=dict(type='CocoMetric', metric=['bbox', 'segm'])), Findings())
    spoilt = table()
    more = [
        {**spoilt['annotations'][0], 'id': 10 + n, 'bbox': [10 + n / 10, 10, 20, 12]} for n in range(120)
    ]  # fmt: skip
    spoilt['annotations'] += more
    data_set(tmp_path / 'train.json', spoilt, pictures)
    findings = Findings()
    fitted = fit_annotations(with_masks, Reading(), findings)
    assert fitted is not None and len(fitted['annotations']) == 121  # one of the copies is that of the first
    assert findings.count(kind='no mask') == 1


def test_pictures_that_resizing_makes_nothing_of(tmp_path: Path) -> None:
    """mmdet pads a side of a few pixels, and cv2 ends a run on one of none, hours later."""
    pictures = make_pictures(tmp_path / 'pictures')
    save(pictures / 'c.png', 4000, 1)
    save(pictures / 'sub' / 'b.png', 640, 64)
    spoilt = table()
    for number, size in ((1, (640, 64)), (2, (4000, 1))):
        spoilt['images'][number] |= dict(zip(('width', 'height'), size, strict=True))
    resize = dict(type='Resize', scale=(192, 192), keep_ratio=True)
    dataset = replace(data_set(tmp_path / 'train.json', spoilt, pictures), pipeline=[resize])
    findings = Findings()
    fitted = fit_annotations(dataset, Reading(), findings)
    assert fitted is not None and [row['file_name'] for row in fitted['images']] == ['a.png', 'sub/b.png']
    assert len(fitted['annotations']) == 3
    lines = '\n'.join(findings.summary())
    assert '1 dropped, picture too narrow' in lines and 'less than 1 px of a side of c.png' in lines
    assert '1 doubtful, picture too narrow' in lines and 'less than 32 px of a side of sub/b.png' in lines
    with pytest.raises(UserError, match=r'1 of its pictures cannot be used, and scores would silently(.|\n)*c\.png'):
        fit_annotations(dataset, Reading(evaluator={}), Findings())
    with pytest.raises(UserError, match='resizing leaves nothing of any picture'):
        fit_annotations(replace(dataset, pipeline=[{**resize, 'scale': (0, 0)}]), Reading(), Findings())


def test_files_that_only_look_like_coco_are_left_alone(tmp_path: Path) -> None:
    for cls in (LVISV1Dataset, CocoPanopticDataset):
        assert not is_coco(view(dict(type=cls.__name__, ann_file=str(tmp_path / 'a.json'))))
    assert not is_coco(view(dict(type='VOCDataset', ann_file=str(tmp_path / 'a.txt'))))
    assert is_coco(view(dict(type='CocoDataset', ann_file=str(tmp_path / 'a.json'))))


def test_the_real_pictures_are_read_to_the_letter(coco_root: Path) -> None:
    node = dict(type='CocoDataset', ann_file='annotations/instances_val2017.json', data_prefix=dict(img='val2017/'))
    masks = [dict(type='LoadAnnotations', with_bbox=True, with_mask=True)]
    dataset = view({**node, 'data_root': str(coco_root), 'pipeline': masks})
    assert fit_annotations(dataset, Reading(evaluator={}), Findings()) is None


def test_a_test_split_without_annotations(tmp_path: Path, pictures: Path) -> None:
    """COCO's test-dev: results are written for a server; a run that scores has nothing to score by."""
    spoilt = table()
    del spoilt['annotations']
    dataset = data_set(tmp_path / 'image_info_test-dev2017.json', spoilt, pictures)
    writing = Reading(evaluator=dict(type='CocoMetric', format_only=True, outfile_prefix='out'))
    assert fit_annotations(dataset, writing, Findings()) is None
    with pytest.raises(UserError, match='has no list annotations'):
        fit_annotations(dataset, Reading(evaluator=dict(type='CocoMetric')), Findings())
    put('images.1.file_name', 'gone.png')(spoilt)
    with pytest.raises(UserError, match=r'1 of its pictures cannot be used(?s:.*)gone\.png'):
        fit_annotations(data_set(tmp_path / 'gone.json', spoilt, pictures), writing, Findings())
    put('images.1.file_name', 'sub\\b.png')(spoilt)
    with pytest.raises(UserError, match='as the server that scores the results will read it'):
        fit_annotations(data_set(tmp_path / 'odd.json', spoilt, pictures), writing, Findings())
