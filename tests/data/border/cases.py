"""What tools really write: how a file is spoilt, what comes out, and what is told. One table for all who read COCO."""

from __future__ import annotations

import math
from collections.abc import Callable

from pycocotools import mask as coco_mask

from effformer_dense.data.border.findings import Action

from .changes import (
    all_of,
    corners,
    double_first_picture,
    drop,
    each,
    expect_corners,
    expect_roboflow,
    first,
    fractions,
    put,
    recategorise,
    roboflow,
    same,
    via,
    without,
)
from .records import HEIGHT, RUNS, WIDTH, Table, square, table

REPAIRED, DROPPED, DOUBTFUL = Action.REPAIRED, Action.DROPPED, Action.DOUBTFUL
COMPRESSED = coco_mask.frPyObjects({'size': [HEIGHT, WIDTH], 'counts': list(RUNS)}, HEIGHT, WIDTH)['counts'].decode()
NAN, HUGE = math.nan, 10**400
POLYGON, SIZES = [16, 12, 32, 12, 32, 24, 16, 24], [WIDTH, HEIGHT] * 4
# Name: what the file has; what the canonical table has; findings.
CASES: dict[str, tuple[Callable[[Table], None], Callable[[Table], None], dict[tuple[Action, str], int]]] = {
    'canonical': (same, same, {}),
    # Categories
    'category ids from 0': (recategorise([(0, 'cat'), (1, 'dog')]), same, {(REPAIRED, 'category ids'): 1}),
    'category ids with gaps': (recategorise([(7, 'cat'), (90, 'dog')]), same, {(REPAIRED, 'category ids'): 1}),
    'category ids as text': (
        recategorise([('1', 'cat'), ('2', 'dog')]),
        same,
        {(REPAIRED, 'category ids as text'): 1, (REPAIRED, 'ids as text'): 3},
    ),
    'objects refer to categories by name': (
        each('annotations', 'category_id', {1: 'cat', 2: 'dog'}.get),
        same,
        {(REPAIRED, 'ids as text'): 3},
    ),
    'Roboflow: a root category without objects': (
        roboflow,
        expect_roboflow,
        {(DROPPED, 'category without objects'): 1},
    ),
    'labelme: a background category': (
        lambda spoilt: spoilt['categories'].insert(0, {'id': 0, 'name': '_background_', 'supercategory': None}),
        same,
        {(DROPPED, 'category without objects'): 1},
    ),
    'VIA': (
        via,
        same,
        {(REPAIRED, 'category ids'): 1, (REPAIRED, 'no width or height'): 3, (REPAIRED, 'mask form'): 1},
    ),
    'one name twice': (
        all_of(recategorise([(1, 'cat'), (2, 'dog'), (3, 'dog')]), put('annotations.2.category_id', 3)),
        same,
        {(REPAIRED, 'category name twice'): 1, (REPAIRED, 'category ids'): 1},
    ),
    'blanks around a name': (
        recategorise([(1, ' cat'), (2, 'dog')]),
        same,
        {(REPAIRED, 'category name'): 1},
    ),
    'a category is missing': (
        lambda spoilt: spoilt['categories'].pop(),
        all_of(without(1, 2), lambda expected: expected['categories'].pop()),
        {(DROPPED, 'no such category'): 2},
    ),
    # Ids
    'annotations without id': (
        drop('annotations', 'id'),
        put('annotations.2.id', 3),
        {(REPAIRED, 'annotation ids'): 3},
    ),
    'annotation ids not unique': (
        each('annotations', 'id', lambda _: 4),
        lambda expected: [row.update(id=n) for n, row in enumerate(expected['annotations'], 1)],
        {(REPAIRED, 'annotation ids'): 3},
    ),
    'annotation id 0, which COCOeval takes for none': (
        put('annotations.0.id', 0),
        put('annotations.2.id', 3),
        {(REPAIRED, 'annotation ids'): 3},
    ),
    'image ids as text': (
        all_of(each('images', 'id', str), each('annotations', 'image_id', str)),
        same,
        {(REPAIRED, 'ids as text'): 3, (REPAIRED, 'picture ids'): 3},
    ),
    'objects refer to pictures by file name': (
        each('annotations', 'image_id', {3: 'a.png', 5: 'b'}.get),
        same,
        {(REPAIRED, 'ids as text'): 3},
    ),
    'an object of no picture': (
        put('annotations.0.image_id', 77),
        without(0),
        {(DROPPED, 'no such picture'): 1},
    ),
    'a picture listed twice under two ids': (
        double_first_picture,
        same,
        {(REPAIRED, 'picture listed twice'): 1},
    ),
    'an object listed twice': (
        lambda spoilt: spoilt['annotations'].append({**spoilt['annotations'][0], 'id': 50}),
        same,
        {(DROPPED, 'object listed twice'): 1},
    ),
    # Fields
    'no iscrowd': (drop('annotations', 'iscrowd'), same, {(REPAIRED, 'no iscrowd'): 3}),
    'no area': (drop('annotations', 'area'), same, {(REPAIRED, 'no area'): 3}),
    'area 0, NaN, text': (
        all_of(put('annotations.0.area', 0), put('annotations.1.area', NAN), put('annotations.2.area', 'x')),
        same,
        {(REPAIRED, 'no area'): 3},
    ),
    'no width and height': (
        all_of(drop('images', 'width'), drop('images', 'height')),
        same,
        {(REPAIRED, 'no width or height'): 3},
    ),
    'width as text': (each('images', 'width', str), same, {(REPAIRED, 'size as text'): 3}),
    'no info, no licenses': (lambda spoilt: (spoilt.pop('info'), spoilt.pop('licenses')), same, {}),
    'ignore, which only mmdet knows': (
        put('annotations.0.ignore', 1),
        first(iscrowd=1),
        {(REPAIRED, 'ignore'): 1, (DOUBTFUL, 'many crowds'): 1},
    ),
    # Masks
    'no segmentation': (
        drop('annotations', 'segmentation'),
        each('annotations', 'segmentation', lambda _: []),
        {},
    ),
    'segmentation [[]]': (put('annotations.0.segmentation', [[]]), first(segmentation=[]), {}),
    'segmentation flat': (
        put('annotations.0.segmentation', square(10, 10, 20, 12)),
        same,
        {(REPAIRED, 'mask form'): 1},
    ),
    'segmentation of points': (
        put('annotations.0.segmentation', [[10, 10], [30, 10], [30, 22], [10, 22]]),
        same,
        {(REPAIRED, 'mask form'): 1},
    ),
    'segmentation of 4 numbers, a box to pycocotools': (
        put('annotations.0.segmentation', [[10, 10, 20, 12]]),
        first(segmentation=[]),
        {(REPAIRED, 'mask of too few points'): 1},
    ),
    'segmentation of an odd count': (
        put('annotations.0.segmentation', [[10, 10, 30, 10, 30, 22, 10]]),
        first(segmentation=[]),
        {(REPAIRED, 'mask of too few points'): 1},
    ),
    'polygon with NaN': (
        put('annotations.0.segmentation', [square(10, 10, 20, 12), [NAN, 1, 2, 3, 4, 5]]),
        same,
        {(REPAIRED, 'mask not of numbers'): 1},
    ),
    'polygon with infinity and a number of 400 digits': (
        put('annotations.0.segmentation', [[math.inf, 1, 2, 3, 4, 5], [HUGE, 1, 2, 3, 4, 5]]),
        first(segmentation=[]),
        {(REPAIRED, 'mask not of numbers'): 1},
    ),
    'polygon of huge coordinates': (
        put('annotations.0.segmentation', [square(-1e8, -1e8, 2e8, 2e8)]),
        first(segmentation=[[0, HEIGHT, 0, 0, WIDTH, 0, WIDTH, HEIGHT]]),
        {(REPAIRED, 'mask outside'): 1},
    ),
    'polygon partly outside': (
        put('annotations.0.segmentation', [square(50, 10, 40, 12)]),
        first(segmentation=[[50, 10, 64, 10, 64, 22, 50, 22]]),
        {(REPAIRED, 'mask outside'): 1},
    ),
    'polygon outside': (
        put('annotations.0.segmentation', [square(100, 10, 40, 12)]),
        first(segmentation=[]),
        {(REPAIRED, 'mask outside'): 1},
    ),
    'polygon of a line': (
        put('annotations.0.segmentation', [[10, 10, 20, 20, 30, 30]]),
        first(segmentation=[]),
        {(REPAIRED, 'mask without pixels'): 1},
    ),
    'RLE compressed': (
        put('annotations.1.segmentation.counts', COMPRESSED),
        put('annotations.1.segmentation.counts', COMPRESSED),
        {},
    ),
    'RLE of bytes as Python prints them': (
        put('annotations.1.segmentation.counts', f'{COMPRESSED.encode()}'),
        same,
        {(REPAIRED, 'mask form'): 1},
    ),
    'RLE corrupt': (
        put('annotations.1.segmentation.counts', COMPRESSED[:-1] + '~~~~'),
        put('annotations.1.segmentation', []),
        {(REPAIRED, 'mask corrupt'): 1},
    ),
    'RLE too long': (
        put('annotations.1.segmentation.counts', [*RUNS, 5]),
        put('annotations.1.segmentation', []),
        {(REPAIRED, 'mask corrupt'): 1},
    ),
    'RLE of another size': (
        put('annotations.1.segmentation.size', [WIDTH, HEIGHT]),
        put('annotations.1.segmentation', []),
        {(REPAIRED, 'mask of another size'): 1},
    ),
    'RLE with empty runs': (
        put('annotations.1.segmentation.counts', [RUNS[0], 0, 0, *RUNS[1:]]),
        same,
        {(REPAIRED, 'mask form'): 1},
    ),
    'several RLE of one object': (
        put('annotations.1.segmentation', [{'size': [HEIGHT, WIDTH], 'counts': list(RUNS)}] * 2),
        same,
        {(REPAIRED, 'mask form'): 1},
    ),
    # Boxes
    'no box but a mask': (put('annotations.1.bbox', []), same, {(REPAIRED, 'no box'): 1}),
    'a box of zeros and a mask': (put('annotations.1.bbox', [0, 0, 0, 0]), same, {(REPAIRED, 'no box'): 1}),
    'box with NaN': (
        all_of(put('annotations.2.bbox', [1, NAN, 30, 20])),
        without(2),
        {(DROPPED, 'box not of numbers'): 1},
    ),
    'box as text': (put('annotations.2.bbox', ['1.5', '2.5', '30', '20']), same, {(REPAIRED, 'numbers as text'): 1}),
    'box of negative size': (
        put('annotations.0.bbox', [30, 22, -20, -12]),
        same,
        {(REPAIRED, 'box of negative size'): 1},
    ),
    'box partly outside': (
        put('annotations.2.bbox', [-10, 2.5, 50, 20]),
        put('annotations.2', {**table()['annotations'][2], 'bbox': [0, 2.5, 40, 20], 'area': 800}),
        {(REPAIRED, 'box partly outside'): 1},
    ),
    'box outside': (put('annotations.2.bbox', [70, 2, 5, 5]), without(2), {(DROPPED, 'box outside'): 1}),
    'box under a pixel': (put('annotations.2.bbox', [7, 2, 0.5, 5]), without(2), {(DROPPED, 'box under a pixel'): 1}),
    'boxes as corners': (corners, expect_corners, {(REPAIRED, 'boxes as corners'): 3}),
    'boxes as fractions': (fractions, same, {(REPAIRED, 'boxes as fractions'): 3, (REPAIRED, 'no area'): 3}),
    'CVAT: a rotated rectangle': (
        put('annotations.2', {**table()['annotations'][2], 'attributes': {'occluded': False, 'rotation': 90.0}}),
        put('annotations.2', {**table()['annotations'][2], 'bbox': [6.5, 0, 20, 27.5], 'area': 550}),
        {(REPAIRED, 'box partly outside'): 1, (REPAIRED, 'box rotated'): 1},
    ),
    'boxes and polygons as fractions': (
        all_of(fractions, put('annotations.0.segmentation', [[n / s for n, s in zip(POLYGON, SIZES, strict=True)]])),
        first(segmentation=[[float(n) for n in POLYGON]], area=192),
        {(REPAIRED, 'boxes as fractions'): 3, (REPAIRED, 'no area'): 3},
    ),
    'supervision: objects of several parts are crowds': (
        put('annotations.0.iscrowd', 1),
        first(iscrowd=1),
        {(DOUBTFUL, 'many crowds'): 1},
    ),
    # File names
    'backslashes': (
        put('images.1.file_name', 'sub\\b.png'),
        same,
        {(REPAIRED, 'file name'): 1},
    ),
    'URL quotes': (put('images.1.file_name', 'sub%2Fb.png'), same, {(REPAIRED, 'file name'): 1}),
    'file://': (put('images.1.file_name', 'file:///sub/b.png'), same, {(REPAIRED, 'file name'): 1}),
    "Label Studio's local files": (
        put('images.1.file_name', '/data/local-files/?d=sub/b.png'),
        same,
        {(REPAIRED, 'file name'): 1},
    ),
    'an absolute path of another machine': (
        put('images.1.file_name', 'C:\\Users\\me\\data\\sub\\b.png'),
        same,
        {(REPAIRED, 'file name'): 1},
    ),
    'a name without its sub-folder': (put('images.1.file_name', 'b.png'), same, {(REPAIRED, 'file name'): 1}),
    'a suffix in capitals': (put('images.0.file_name', 'A.PNG'), same, {(REPAIRED, 'file name'): 1}),
    'a name that leaves the folder and ends in one of it': (
        put('images.0.file_name', '../pictures/a.png'),
        same,
        {(REPAIRED, 'file name'): 1},
    ),
    'a missing picture': (
        put('images.1.file_name', 'nowhere.png'),
        all_of(without(2), lambda expected: expected['images'].pop(1)),
        {(DROPPED, 'picture missing'): 1, (DROPPED, 'no such picture'): 1},
    ),
}


REFUSED: dict[str, tuple[Callable[[Table], None], str]] = {
    'one id, two classes': (recategorise([(1, 'cat'), (1, 'dog')]), "both 'cat' and 'dog'"),
    'all objects are crowds': (each('annotations', 'iscrowd', lambda _: 1), 'all 3 objects are crowds'),
    'no objects': (lambda spoilt: spoilt['annotations'].clear(), 'there are no annotations'),
    'no object of a category': (each('annotations', 'category_id', lambda _: None), 'none can be used'),
    'no pictures': (lambda spoilt: spoilt['images'].clear(), 'lists no pictures'),
    'most pictures are missing': (
        all_of(put('images.0.file_name', 'x.png'), put('images.1.file_name', 'y.png')),
        'of 3 pictures 1 can be used',
    ),
    'another size': (put('images.0.width', 99), '99 x 48 px in the file, 64 x 48 px decoded'),
    'boxes for larger pictures': (
        all_of(each('annotations', 'bbox', lambda box: [9 * n for n in box]), drop('annotations', 'segmentation')),
        'made for pictures of another size',
    ),
    'boxes for larger pictures, with masks': (
        each('annotations', 'bbox', lambda box: [9 * n for n in box]),
        'made for pictures of another size',
    ),
    'no annotations': (lambda spoilt: spoilt.pop('annotations'), 'has no list annotations'),
    'no categories': (lambda spoilt: spoilt['categories'].clear(), 'no category with a name'),
    'a huge picture': (
        all_of(each('images', 'width', lambda _: 10**8), each('images', 'height', lambda _: 10**8)),
        '100000000 x 100000000 px in the file',
    ),
}
