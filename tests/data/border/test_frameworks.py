"""pycocotools and mmdet on a canonical file: they read the same objects, and the truth scores 1."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mmdet.datasets import CocoDataset
from mmdet.datasets.transforms import LoadAnnotations
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from effformer_dense.data.border.canonical import write_coco

from .records import HEIGHT, WIDTH, Table, clean, make_pictures, square, table


def dialect(spoilt: Table) -> None:
    """Much of what tools write, at once; seven objects remain."""
    spoilt['categories'] = [{'id': 0, 'name': 'animal'}, {'id': '7', 'name': 'dog', 'supercategory': 'animal'}]
    spoilt['categories'] += [{'id': 3, 'name': 'cat', 'supercategory': 'animal'}]
    for row in spoilt['annotations']:
        row['category_id'] = {1: 3, 2: '7'}[row['category_id']]
        del row['area'], row['iscrowd'], row['id']
    more: list[dict[str, Any]] = [
        {'bbox': [40, 20, 40, 10], 'segmentation': [square(40, 20, 40, 10)]},
        {'bbox': [5, 5, 9, 9], 'segmentation': square(5, 5, 9, 9)},
        {'bbox': [30, 30, -9, 9], 'segmentation': [[30, 30, 31]]},
        {'bbox': None, 'segmentation': [[8, 30, 20, 30, 14, 40]]},
        {'bbox': [float('nan')] * 4, 'segmentation': []},
        {'bbox': [0, 0, 0.2, 5]},
    ]
    spoilt['annotations'] += [{'image_id': 8, 'category_id': 3, **row} for row in more]


@pytest.fixture
def canonical(tmp_path: Path) -> Path:
    """A canonical file in which every object has a mask, beside its pictures."""
    spoilt = table()
    dialect(spoilt)
    cleaned, _ = clean(spoilt, make_pictures(tmp_path), classes=['cat', 'dog'], masks_from_boxes=True)
    write_coco(tmp_path / 'train.json', cleaned)
    return tmp_path / 'train.json'


@pytest.mark.parametrize('kind', ['bbox', 'segm'])
def test_the_truth_scores_1(canonical: Path, kind: str) -> None:
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(canonical))
        results = []
        for row in truth.dataset['annotations']:
            result = {'image_id': row['image_id'], 'category_id': row['category_id'], 'score': 0.9}
            results.append(
                result | ({'bbox': row['bbox']} if kind == 'bbox' else {'segmentation': truth.annToRLE(row)})
            )
        evaluation = COCOeval(truth, truth.loadRes(results), kind)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    assert evaluation.stats[0] == pytest.approx(1)
    assert len(results) == 7


def test_mmdet_reads_the_same_objects(canonical: Path) -> None:
    with contextlib.redirect_stdout(io.StringIO()):
        dataset = CocoDataset(
            ann_file=str(canonical),
            data_prefix={'img': str(canonical.parent)},
            metainfo={'classes': ('cat', 'dog')},
            pipeline=[],
        )
        truth = COCO(str(canonical))
    rows = [row for image in truth.getImgIds() for row in truth.imgToAnns[image]]
    read = [(info, instance) for info in dataset for instance in info['instances']]
    assert len(rows) == len(read) == 7
    for row, (info, instance) in zip(rows, read, strict=True):
        x, y, width, height = row['bbox']
        assert info['img_id'] == row['image_id'] and (info['height'], info['width']) == (HEIGHT, WIDTH)
        assert Path(info['img_path']).is_file()
        assert instance['bbox'] == [x, y, x + width, y + height]
        assert instance['bbox_label'] == row['category_id'] - 1
    loaded = LoadAnnotations(with_bbox=True, with_mask=True, poly2mask=True)(
        {**dataset[0], 'ori_shape': (HEIGHT, WIDTH), 'img_shape': (HEIGHT, WIDTH)}
    )
    mine = [truth.annToMask(row) for row in rows if row['image_id'] == dataset[0]['img_id']]
    np.testing.assert_array_equal(loaded['gt_masks'].masks, mine)
    assert coco_mask.area(coco_mask.encode(np.asfortranarray(mine[1]))) == 60
