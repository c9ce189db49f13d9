"""Folders of segmentation maps before a run: what is refused, what is told, and what is read for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar
from unittest import mock

import numpy as np
import pytest
from mmengine.registry import init_default_scope
from PIL import Image

from effformer_dense.config.datasets import view
from effformer_dense.data.border.findings import Action, Findings
from effformer_dense.errors import UserError
from effformer_dense.tasks import Reading
from tests.data.bombs import png_bomb
from tests.data.border.folders import write_map, write_picture

pytest.importorskip('mmseg')

import effformer_dense.segmentation.fit as module
from effformer_dense.segmentation.fit import fit_maps

CLASSES = ('ground', 'road', 'sky')
TRAIN, SCORE = Reading(), Reading(evaluator=[dict(type='SegmentationMetric')])


def stripes(*values: int, dtype: type = np.uint8) -> np.ndarray:
    """(32, 48) with the values side by side."""
    return np.repeat(np.array(values, dtype), 48 // len(values))[None].repeat(32, 0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three good pairs of three classes."""
    for seed, name in enumerate('abc'):
        write_picture(tmp_path / 'images' / f'{name}.jpg', 48, 32, seed)
        write_map(tmp_path / 'maps' / f'{name}.png', stripes(0, 1, 2, 255))
    return tmp_path


def fit(root: Path, reading: Reading = TRAIN, classes: Sequence[str] = CLASSES, **options) -> Findings:
    init_default_scope('mmseg')
    node = dict(
        type='BaseSegDataset',
        data_root=str(root),
        data_prefix=dict(img_path='images', seg_map_path='maps'),
        metainfo=dict(classes=classes),
        **options,
    )
    findings = Findings()
    fit_maps(view(node), reading, findings)
    return findings


def reason(findings: Findings, kind: str) -> str | None:
    only = findings.only(Action.DOUBTFUL, kind)
    return None if only is None else only.reason


def put(root: Path, *maps: np.ndarray) -> None:
    for name, values in zip('abc', maps, strict=False):
        write_map(root / 'maps' / f'{name}.png', values)


@pytest.mark.parametrize('reading', [TRAIN, SCORE])
def test_good_maps_pass_without_a_word(folder: Path, reading: Reading) -> None:
    assert fit(folder, reading).count() == 0


@pytest.mark.parametrize('reading', [TRAIN, SCORE])
@pytest.mark.parametrize('classes', [CLASSES[:2], CLASSES])
def test_masks_of_0_and_255(folder: Path, reading: Reading, classes: Sequence[str]) -> None:
    put(folder, stripes(0, 255), stripes(0), stripes(255, 0))
    message = (
        r"maps: 3 maps have the values 0 and 255 alone\. .* 'ground', .* score 100 %\. "
        r"If 255 stands for 'road': write 1 in its place, or let .*prepare-data own FOLDER"
    )
    with pytest.raises(UserError, match=message):
        fit(folder, reading, classes)
    put(folder, stripes(0, 1, 255))
    assert fit(folder, reading, classes[:2]).count() == 0, 'with a third value, 255 is unlabelled'


@pytest.mark.parametrize(('reading', 'what'), [(TRAIN, 'learned'), (SCORE, 'scored')])
@pytest.mark.parametrize(('value', 'options'), [(255, {}), (0, dict(reduce_zero_label=True))])
def test_nothing_labelled(folder: Path, reading: Reading, what: str, value: int, options: dict) -> None:
    put(folder, *[stripes(value)] * 3)
    message = rf'Every pixel of every map is unlabelled \(3 maps with values {value}\), so nothing can be {what}'
    with pytest.raises(UserError, match=message):
        fit(folder, reading, **options)


def test_one_class_is_nothing_to_learn_and_little_to_score(folder: Path) -> None:
    put(folder, stripes(1, 255), stripes(1), stripes(1))
    with pytest.raises(UserError, match=r"labelled is 'road': nothing is left .* have the values 1, 255; 255 means"):
        fit(folder)
    findings = fit(folder, SCORE)
    expected = "every labelled pixel of 3 maps is 'road': whatever always says so scores 100 %"
    assert reason(findings, 'one class alone') == expected
    assert reason(findings, 'class in no file') == "no pixel of 3 maps is 'ground', 'sky'"


def test_a_map_without_labels_and_a_class_in_no_file_are_told(folder: Path) -> None:
    put(folder, stripes(0, 1), stripes(255), stripes(1, 0))
    findings = fit(folder)
    assert findings.kinds(Action.DOUBTFUL) == {'map without labels': 1, 'class in no file': 1} and findings.count() == 2
    assert reason(findings, 'class in no file') == "no pixel of 3 maps is 'sky'"
    assert 'maps/b.png: every pixel is unlabelled' in '\n'.join(findings.summary())


def test_classes_that_a_config_chose(folder: Path) -> None:
    """What the config leaves out of the classes of the files is nothing labelled."""
    init_default_scope('mmseg')
    from mmseg.datasets import BaseSegDataset
    from mmseg.registry import DATASETS

    class OwnClasses(BaseSegDataset):
        METAINFO: ClassVar[dict] = dict(classes=CLASSES, palette=[[0, 0, 0], [1, 1, 1], [2, 2, 2]])

    node = dict(data_root=str(folder), data_prefix=dict(img_path='images', seg_map_path='maps'))
    with mock.patch.dict(DATASETS.module_dict, OwnClasses=OwnClasses):
        for chosen, message in ((('sky', 'ground'), None), (('sky',), "labelled is 'sky'")):
            dataset = view(dict(node, type='OwnClasses', metainfo=dict(classes=chosen)))
            if message is None:
                fit_maps(dataset, TRAIN, Findings())
            else:
                with pytest.raises(UserError, match=message):
                    fit_maps(dataset, TRAIN, Findings())


def many(root: Path, count: int, values: Callable[[int], np.ndarray]) -> None:
    """One picture under many names, and two kinds of maps."""
    write_picture(root / 'images' / '0000.jpg', 48, 32)
    (root / 'maps').mkdir()
    for number in range(count):
        if number:
            (root / 'images' / f'{number:04d}.jpg').hardlink_to(root / 'images' / '0000.jpg')
        write_map(root / 'maps' / f'{number:04d}.png', values(number))


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Maps that are read, one after the other."""
    monkeypatch.setattr(module, 'OPENED_PAIRS', 5)
    paths: list[Path] = []
    for where in ('segmentation.checks', 'data.segmentation_maps'):
        name = f'effformer_dense.{where}.read_segmentation_map'
        read = mock.Mock(side_effect=_reader(paths))
        monkeypatch.setattr(name, read)
    return paths


def _reader(paths: list[Path]) -> Callable[..., np.ndarray]:
    from effformer_dense.data.segmentation_maps import read_segmentation_map

    def read(path: Path, max_pixels: int) -> np.ndarray:
        paths.append(path)
        return read_segmentation_map(path, max_pixels)

    return read


def test_a_sample_that_has_all_classes_is_enough(tmp_path: Path, opened: list[Path]) -> None:
    many(tmp_path, 20, lambda number: stripes(0, 1, 2))
    assert fit(tmp_path).count() == 0
    assert [path.stem for path in opened] == ['0000', '0004', '0008', '0012', '0016']


def test_others_are_read_until_no_class_is_missing(tmp_path: Path, opened: list[Path]) -> None:
    many(tmp_path, 20, lambda number: stripes(0, 2) if number == 9 else stripes(0, 1))
    assert fit(tmp_path).count() == 0
    assert [path.stem for path in opened][5:] == ['0001', '0005', '0009']


def test_a_class_in_no_file_is_told_after_all_were_read_once(tmp_path: Path, opened: list[Path]) -> None:
    many(tmp_path, 20, lambda number: stripes(0, 1))
    assert reason(fit(tmp_path), 'class in no file') == "no pixel of 20 maps is 'sky'"
    assert len(opened) == len(set(opened)) == 20


def test_of_many_pixels_a_sample_must_do(tmp_path: Path, opened: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """A sample of ADE20K always lacks some of the 150 classes: what is always said is no warning."""
    monkeypatch.setattr(module, 'FEW_PIXELS', 20 * 32 * 48 - 1)
    many(tmp_path, 20, lambda number: stripes(0, 1))
    assert fit(tmp_path).count() == 0 and len(opened) == 5


def test_a_sample_alone_is_no_reason_to_refuse(
    tmp_path: Path, opened: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One picture in twenty has a defect."""
    monkeypatch.setattr(module, 'FEW_PIXELS', 0)
    many(tmp_path, 20, lambda number: stripes(0, 1) if number == 19 else stripes(0, 255))
    assert fit(tmp_path, classes=CLASSES[:2]).count() == 0 and len(opened) == 20
    write_map(tmp_path / 'maps' / '0019.png', stripes(0))
    with pytest.raises(UserError, match='20 maps have the values 0 and 255 alone'):
        fit(tmp_path, classes=CLASSES[:2])


def test_progress_and_limit_are_those_of_the_run(folder: Path) -> None:
    progress = mock.Mock()
    fit(folder, Reading(progress=progress))
    progress.assert_called_with('maps read', 0, 3)
    with pytest.raises(UserError, match=r'a\.jpg: 48 x 32 px; up to 1,535 pixels are read: raise --max-pixels'):
        fit(folder, Reading(max_pixels=1535))


def _coloured(root: Path) -> None:
    write_map(root / 'maps' / 'b.png', np.dstack([stripes(128, 70)] * 2 + [stripes(0, 180)]))


def _deep(root: Path) -> None:
    write_map(root / 'maps' / 'b.png', stripes(0, 257, dtype=np.uint16))


def _palette(root: Path) -> None:
    image = Image.fromarray(stripes(0, 38))
    image.putpalette([7] * 768)
    image.save(root / 'maps' / 'b.png')


def _negative(root: Path) -> None:
    Image.fromarray(stripes(0, -1, dtype=np.int32)).save(root / 'maps' / 'b.png', format='TIFF')


def _larger(root: Path) -> None:
    put(root, stripes(0, 1), np.zeros((64, 96), np.uint8))


def _lying(root: Path) -> None:
    """The picture is stored as 48 x 32 px and decoded as 32 x 48."""
    write_picture(root / 'images' / 'b.jpg', 48, 32, orientation=6)


def _broken_picture(root: Path) -> None:
    (root / 'images' / 'b.jpg').write_bytes(b'no picture')


def _cut_picture(root: Path) -> None:
    path = root / 'images' / 'b.jpg'
    path.write_bytes(path.read_bytes()[:-100])


def _cut_map(root: Path) -> None:
    path = root / 'maps' / 'b.png'
    path.write_bytes(path.read_bytes()[:-10])


def _bomb_map(root: Path) -> None:
    png_bomb(root / 'maps' / 'b.png', 50_000, 50_000)


def _bomb_picture(root: Path) -> None:
    png_bomb(root / 'images' / 'b.jpg', 50_000, 50_000)


def _other_case(root: Path) -> None:
    (root / 'maps' / 'b.png').rename(root / 'maps' / 'B.PNG')


def _other_suffix(root: Path) -> None:
    (root / 'maps' / 'b.png').rename(root / 'maps' / 'b.bmp')


def _orphan(root: Path) -> None:
    (root / 'images' / 'b.jpg').rename(root / 'images' / 'b.JPG')


REFUSED = {
    _coloured: r'maps/b\.png: a picture of mode RGB, .* turned into indices: .*prepare-data own FOLDER',
    _deep: r'maps/b\.png: label 257 in 768 pixels; labels go from 0 to 2, and 255 .* or let .*prepare-data own FOLDER',
    _palette: r'maps/b\.png: label 38 in 768 pixels; labels go from 0 to 2',
    _negative: r'maps/b\.png: label -1 in 768 pixels; labels go from 0 to 2',
    _larger: r'maps/b\.png is 96 x 64 px, its picture .*b\.jpg 48 x 32 px\. .*prepare-data own FOLDER',
    _lying: r'maps/b\.png was drawn on b\.jpg as it is stored, .* EXIF orientation, 6\. .*prepare-data own FOLDER',
    _broken_picture: r'images/b\.jpg: no picture of a format that is read here',
    _cut_picture: r'images/b\.jpg: the JPEG data is truncated',
    _cut_map: r'maps/b\.png: the PNG data is truncated',
    _bomb_map: r'maps/b\.png: 50000 x 50000 px; .* raise --max-pixels',
    _bomb_picture: r'images/b\.jpg: 50000 x 50000 px; .* raise --max-pixels',
    _other_case: r'1 files are missing: .*maps/b\.png\. .*maps has B\.PNG, .* to the letter\. .*own FOLDER',
    _other_suffix: r'1 files are missing: .*maps/b\.png\. .*maps has b\.bmp, .*prepare-data own FOLDER',
    _orphan: r'1 of 3 segmentation maps in .*maps have no picture: b\.png\. .*images has b\.JPG, .* to the letter\.',
}


@pytest.mark.parametrize('spoil', REFUSED)
@pytest.mark.parametrize('reading', [TRAIN, SCORE])
def test_pairs_that_cannot_be_used_are_refused_by_name(
    folder: Path, spoil: Callable[[Path], None], reading: Reading
) -> None:
    spoil(folder)
    with pytest.raises(UserError, match=REFUSED[spoil]):
        fit(folder, reading)


def test_a_palette_or_16_bits_with_numbers_of_classes_are_read(folder: Path) -> None:
    image = Image.fromarray(stripes(0, 1, 2))
    image.putpalette([7] * 768)
    image.save(folder / 'maps' / 'a.png')
    write_map(folder / 'maps' / 'b.png', stripes(0, 1, 2, dtype=np.uint16))
    assert fit(folder).count() == 0


def test_numbers_with_another_colour_in_each_file(folder: Path) -> None:
    """As Pillow makes palettes of coloured maps: the most frequent colour is 0, in each file anew."""
    for name, colours in (('a', [(0, 0, 0), (9, 9, 9)]), ('b', [(9, 9, 9), (0, 0, 0)]), ('c', [(0, 0, 0), (9, 9, 9)])):
        image = Image.fromarray(stripes(0, 1))
        image.putpalette([value for colour in colours for value in colour])
        image.save(folder / 'maps' / f'{name}.png')
    findings = fit(folder, classes=CLASSES[:2])
    told = reason(findings, 'palettes differ')
    assert told is not None and told.startswith('0 is (9, 9, 9) here and (0, 0, 0) in ') and 'a.png' in told
    assert findings.count() == 1


def test_how_a_map_lies_that_its_size_does_not_tell(folder: Path) -> None:
    write_picture(folder / 'images' / 'b.jpg', 48, 32, orientation=3)
    assert fit(folder).kinds(Action.DOUBTFUL) == {'EXIF orientation': 1}


def test_pictures_that_end_otherwise_are_not_lost_silently(folder: Path) -> None:
    for old, new in (('images/b.jpg', 'images/b.JPG'), ('maps/b.png', 'maps/b.PNG')):
        (folder / old).rename(folder / new)
    (folder / 'images' / 'thumbnail.png').write_bytes(b'')  # has no map
    findings = fit(folder)
    assert findings.kinds(Action.DROPPED) == {'picture of another ending': 1}
    assert 'images/b.JPG: the data set reads *.jpg' in '\n'.join(findings.summary())
    with pytest.raises(UserError, match=r'1 pictures do not end in \.jpg, .*: b\.JPG\. Rename them; .*own FOLDER'):
        fit(folder, SCORE)
    (folder / 'names.txt').write_text('a\nc\n')
    assert fit(folder, SCORE, ann_file='names.txt').count() == 0, 'a list says what counts'


def test_maps_beside_their_pictures(folder: Path) -> None:
    for path in (folder / 'maps').iterdir():
        path.rename(folder / 'images' / path.name)
    (folder / 'maps').rmdir()
    (folder / 'maps').symlink_to(folder / 'images')
    assert fit(folder, SCORE).count() == 0


def test_pictures_that_resizing_makes_nothing_of(folder: Path) -> None:
    """The network pads what it learns from, and needs 32 px of what it predicts."""
    write_picture(folder / 'images' / 'b.jpg', 3200, 32)
    put(folder, stripes(0, 1, 2), np.zeros((32, 3200), np.uint8))
    for side, refusing in ((2000, [SCORE]), (48, [SCORE, TRAIN])):
        pipeline = [dict(type='Resize', scale=(side, side), keep_ratio=True)]
        for reading in (SCORE, TRAIN):
            if reading in refusing:
                with pytest.raises(UserError, match=rf'b\.jpg: the pipeline makes {side} x \d+ px of its 3200 x 32 px'):
                    fit(folder, reading, pipeline=pipeline)
            else:
                assert fit(folder, reading, pipeline=pipeline).count() == 0
