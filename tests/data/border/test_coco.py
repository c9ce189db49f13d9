"""What tools really write, and what comes out: values, not only that it passes."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import mmcv
import numpy as np
import pytest
from pycocotools import mask as coco_mask

from effformer_dense.data.border.coco import MaskCount, count_masks
from effformer_dense.data.border.findings import Action
from effformer_dense.errors import UserError

from .cases import CASES, DOUBTFUL, DROPPED, REFUSED, REPAIRED
from .records import HEIGHT, WIDTH, clean, kinds, make_pictures, save, square, table


@pytest.fixture(scope='module')
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pictures(tmp_path_factory.mktemp('pictures'))


@pytest.mark.parametrize('name', CASES)
def test_what_comes_out(pictures: Path, name: str) -> None:
    spoil, expect, told = CASES[name]
    spoilt, expected = table(), table()
    spoil(spoilt)
    expect(expected)
    cleaned, findings = clean(spoilt, pictures)
    for row, wanted in zip(cleaned['annotations'], expected['annotations'], strict=True):
        np.testing.assert_allclose(row.pop('bbox'), wanted.pop('bbox'), err_msg=str(row))
        np.testing.assert_allclose(row.pop('area'), wanted.pop('area'))
    assert cleaned == expected
    assert {(action, kind): number for action in Action for kind, number in kinds(findings, action).items()} == told


@pytest.mark.parametrize('name', REFUSED)
def test_refused(pictures: Path, name: str) -> None:
    spoil, message = REFUSED[name]
    spoilt = table()
    spoil(spoilt)
    with pytest.raises(UserError, match=message):
        clean(spoilt, pictures)


def test_classes_set_the_order_by_name(pictures: Path) -> None:
    cleaned, findings = clean(table(), pictures, classes=['dog', 'cat'])
    assert kinds(findings, REPAIRED) == {'category order': 1}
    assert cleaned['categories'] == [{'id': 1, 'name': 'dog'}, {'id': 2, 'name': 'cat'}]
    assert [row['category_id'] for row in cleaned['annotations']] == [2, 1, 1]


def test_objects_of_other_classes_are_left_out(pictures: Path) -> None:
    cleaned, findings = clean(table(), pictures, classes=['dog'])
    assert [row['id'] for row in cleaned['annotations']] == [2, 4] and len(cleaned['images']) == 3
    assert kinds(findings, DROPPED) == {'category not among classes': 1, 'class not wanted': 1}


def test_a_class_that_no_category_has(pictures: Path) -> None:
    cleaned, findings = clean(table(), pictures, classes=['bird', 'cat', 'dog'])
    assert [row['category_id'] for row in cleaned['annotations']] == [2, 3, 3]
    assert kinds(findings, DOUBTFUL) == {'class without category': 1}
    with pytest.raises(UserError, match="Did you mean 'dog'"):
        clean(table(), pictures, classes=['cat', 'dogs'])


@pytest.mark.parametrize('suffix', ['jpg', 'png', 'tif', 'webp'])
@pytest.mark.parametrize('orientation', [5, 6, 7, 8])
def test_annotations_turn_with_their_picture(tmp_path: Path, suffix: str, orientation: int) -> None:
    """A rectangle painted into the stored pixels lies under the box, the polygon and the run lengths afterwards."""
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    stored[8:24, 16:48] = 255
    Image.fromarray(stored).save(tmp_path / f'a.{suffix}', exif=exif, quality=100, lossless=suffix == 'webp')
    decoded = mmcv.imread(tmp_path / f'a.{suffix}')[..., 0] > 128
    # The tool saw the picture the other way round than it is decoded.
    seen = stored[..., 0] > 128
    if decoded.shape == seen.shape:
        seen = {5: seen.T, 6: np.rot90(seen, -1), 7: np.rot90(seen, 2).T, 8: np.rot90(seen)}[orientation]
    rows, columns = np.flatnonzero(seen.any(1)), np.flatnonzero(seen.any(0))
    box = [int(columns[0]), int(rows[0]), len(columns), len(rows)]
    encoded = coco_mask.encode(np.asfortranarray(seen.astype(np.uint8)))
    spoilt = table()
    spoilt['images'] = [{'id': 1, 'file_name': f'a.{suffix}', 'width': seen.shape[1], 'height': seen.shape[0]}]
    spoilt['annotations'] = [
        {'id': 1, 'image_id': 1, 'category_id': 1, 'bbox': box, 'iscrowd': 0, 'segmentation': [square(*box)]},
        {'id': 2, 'image_id': 1, 'category_id': 2, 'bbox': box, 'iscrowd': 0, 'segmentation': {
            'size': list(seen.shape), 'counts': encoded['counts'].decode()}},
    ]  # fmt: skip
    cleaned, findings = clean(spoilt, tmp_path)
    assert kinds(findings, REPAIRED)['EXIF orientation'] == 1
    height, width = decoded.shape
    assert cleaned['images'][0]['width'] == width and cleaned['images'][0]['height'] == height
    for row in cleaned['annotations']:
        mask = row['segmentation']
        runs = coco_mask.frPyObjects(mask, height, width)
        drawn = coco_mask.decode(runs if isinstance(mask, dict) else coco_mask.merge(runs)).astype(bool)
        x, y, wide, high = map(int, row['bbox'])
        boxed = np.zeros_like(drawn)
        boxed[y : y + high, x : x + wide] = True
        assert np.array_equal(drawn, boxed)
        assert (drawn == decoded).mean() > 0.99  # JPEG blurs edges


def test_names_composed_differently(tmp_path: Path) -> None:
    make_pictures(tmp_path)
    composed, decomposed = (unicodedata.normalize(form, 'Straße_é.png') for form in ('NFC', 'NFD'))
    save(tmp_path / decomposed)
    spoilt = table()
    spoilt['images'][0]['file_name'] = composed
    cleaned, findings = clean(spoilt, tmp_path)
    assert cleaned['images'][0]['file_name'] == decomposed
    assert kinds(findings, REPAIRED) == {'file name': 1}


def test_an_end_of_a_name_that_two_pictures_have_is_none(tmp_path: Path) -> None:
    make_pictures(tmp_path)
    save(tmp_path / 'other/b.png')
    spoilt = table()
    spoilt['images'][1]['file_name'] = 'b.png'
    _, findings = clean(spoilt, tmp_path)
    assert kinds(findings, DROPPED) == {'picture missing': 1, 'no such picture': 1}


def test_two_records_that_end_in_one_picture_are_neither(pictures: Path) -> None:
    spoilt = table()
    spoilt['images'][0]['file_name'] = '/train/c.png'
    spoilt['images'][1]['file_name'] = '/val/b.png'
    _, findings = clean(spoilt, pictures)
    assert kinds(findings, DROPPED) == {'picture ambiguous': 1, 'no such picture': 2}


def test_nothing_outside_the_folder_is_read(tmp_path: Path) -> None:
    root = make_pictures(tmp_path / 'root')
    outside = save(tmp_path / 'outside.png')
    (root / 'link.png').symlink_to(outside)
    (root / 'folder').symlink_to(save(tmp_path / 'away' / 'd.png').parent)
    for name in ('../outside.png', str(outside), 'link.png', 'folder/d.png', f'file://{outside}'):
        spoilt = table()
        spoilt['images'][2]['file_name'] = name
        if name.startswith('file'):
            assert kinds(clean(spoilt, root)[1], DROPPED) == {'picture missing': 1}
            continue
        with pytest.raises(UserError, match='--outside-root'):
            clean(spoilt, root)
        cleaned, _ = clean(spoilt, root, outside_root=True)
        assert (root / cleaned['images'][2]['file_name']).is_file()


def test_pictures_that_cannot_be_used_are_left_out(tmp_path: Path) -> None:
    make_pictures(tmp_path)
    data = (tmp_path / 'a.png').read_bytes()
    broken = {'empty': b'', 'truncated': data[:-30], 'text': b'no picture', 'flipped': data[:500] + b'\0' + data[501:]}
    for name, content in broken.items():
        (tmp_path / f'{name}.png').write_bytes(content)
    spoilt = table()
    for name in ('d', 'e'):
        save(tmp_path / f'{name}.png')
    size = {'width': WIDTH, 'height': HEIGHT}
    spoilt['images'] += [
        {'id': 20 + n, 'file_name': f'{name}.png', **size} for n, name in enumerate([*broken, 'd', 'e'])
    ]
    cleaned, findings = clean(spoilt, tmp_path)
    assert kinds(findings, DROPPED) == {'picture empty': 1, 'picture broken': 3}
    assert len(cleaned['images']) == 5
    _, unopened = clean(spoilt, tmp_path, opened=0)
    assert kinds(unopened, DROPPED) == {'picture empty': 1}


def test_a_small_file_of_many_pixels_is_not_decoded(pictures: Path) -> None:
    with pytest.raises(UserError, match='up to 1,000 pixels are read: raise --max-pixels'):
        clean(table(), pictures, max_pixels=1000)


def test_objects_without_masks_get_their_box_if_wanted(pictures: Path) -> None:
    cleaned, _ = clean(table(), pictures)
    assert count_masks(cleaned) == MaskCount(having=2, lacking=1)
    cleaned, findings = clean(table(), pictures, masks_from_boxes=True)
    assert count_masks(cleaned) == MaskCount(having=3, lacking=0)
    assert cleaned['annotations'][2]['segmentation'] == [square(1.5, 2.5, 30, 20)]
    assert kinds(findings, REPAIRED) == {'mask from box': 1}


def test_progress_is_told(pictures: Path) -> None:
    told: list[tuple[str, int, int]] = []
    clean(table(), pictures, progress=lambda *what: told.append(what))
    assert ('annotations', 0, 3) in told and ('pictures measured', 0, 3) in told
