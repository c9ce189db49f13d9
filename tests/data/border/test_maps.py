"""Segmentation maps of any coding become 0 to n - 1 and 255."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from effformer_dense.data.border.findings import Action, Findings
from effformer_dense.data.border.formats.class_tables import ClassTable, read_class_table
from effformer_dense.data.border.maps import (
    Coding,
    canonical_map,
    choose_coding,
    default_palette,
    survey_maps,
    turned,
)
from effformer_dense.errors import UserError

from .folders import write_map, write_picture, write_text

RGB = {(0, 0, 0): 0, (128, 64, 128): 1, (70, 130, 180): 2}
TABLE = ClassTable(('ground', 'road', 'sky'), tuple(RGB), None, 'labelmap.txt')


def _write(root: Path, name: str, values: np.ndarray, orientation: int = 1) -> tuple[Path, Path]:
    """A map and a picture of its size; with an orientation, the picture as stored has it."""
    height, width = values.shape[:2]
    picture, seg_map = root / f'{name}.jpg', root / f'{name}.png'
    write_picture(picture, width, height, orientation=orientation)
    write_map(seg_map, values)
    return picture, seg_map


def _values(*numbers: int, dtype: type = np.uint8) -> np.ndarray:
    """(32, 48) with the numbers in stripes."""
    return np.repeat(np.array(numbers, dtype), 48 // len(numbers))[None].repeat(32, 0)


def _code(
    root: Path,
    *maps: np.ndarray,
    names: Sequence[str] | None = None,
    table: ClassTable | None = None,
    ignored: Sequence[int | str] = (),
) -> tuple[Coding, list[list[int]], Findings]:
    """Coding, values of the canonical maps, and findings."""
    pairs = [_write(root, f'{number}', values) for number, values in enumerate(maps)]
    findings = Findings()
    colours = None if table is None else table.colours
    survey = survey_maps(pairs, findings, colours)
    coding = choose_coding(survey, names, table, ignored, findings)
    written = [canonical_map(pair[1], coding, turn, survey.colours, 10**8) for pair, turn in survey.usable]
    return coding, [np.unique(one).tolist() for one in written], findings


def test_grey_maps_that_are_canonical_stay(tmp_path: Path) -> None:
    coding, values, findings = _code(tmp_path, _values(0, 1, 255), _values(2, 2, 1), names=('a', 'b', 'c'))
    assert values == [[0, 1, 255], [1, 2]] and coding.classes == ('a', 'b', 'c') and findings.count() == 0


@pytest.mark.parametrize(
    ('others', 'wanted'),
    [
        ([], [[0, 1]]),
        ([(0, 1, 2)], [[0, 1], [0, 1, 2]]),
        ([(0, 1)], [[0, 1], [0, 1]]),
        ([(0, 255)], [[0, 1], [0, 1]]),
        ([(0, 1, 255)], [[0, 1], [0, 1, 255]]),
        ([(0, 0)], [[0, 1], [0]]),
    ],
)
def test_maps_of_one_bit(others: list[tuple[int, ...]], wanted: list[list[int]], tmp_path: Path) -> None:
    """As Pillow and MATLAB write logical masks: 1 is what it is in the maps beside them."""
    coding, values, findings = _code(tmp_path, _values(0, 1).astype(bool), *(_values(*one) for one in others))
    assert values == wanted
    assert findings.count(Action.DOUBTFUL, 'maps of one bit') == (1 if any(any(one) for one in others) else 0)
    assert (coding.classes == ('background', 'foreground')) == (others in ([], [(0, 255)], [(0, 0)]))


def test_maps_of_16_bits(tmp_path: Path) -> None:
    coding, values, _ = _code(tmp_path, _values(0, 1, 65535, dtype=np.uint16), names=('a', 'b'))
    assert values == [[0, 1, 255]] and coding.classes == ('a', 'b')


def test_classes_of_coloured_maps_that_mean_nothing(tmp_path: Path) -> None:
    colours = ((0, 0, 0), (200, 0, 10), (0, 90, 0))
    table = ClassTable(('Void', 'Sky', 'Road'), colours, None, 'class_dict.csv')
    pixels = np.repeat(np.array(colours, np.uint8)[None], 2, 0).repeat(16, 1)
    coding, values, _ = _code(tmp_path, pixels, table=table, ignored=('Void',))
    assert coding.classes == ('Sky', 'Road') and coding.palette == colours[1:] and values == [[0, 1, 255]]
    with pytest.raises(UserError, match=r"--ignore must be one of Void, Sky, Road; got 'void'. Did you mean 'Void'"):
        _code(tmp_path, pixels, table=table, ignored=('void',))
    with pytest.raises(UserError, match=r'--ignore 0: these maps have colours. Of such, --ignore takes names'):
        _code(tmp_path, pixels, table=table, ignored=(0,))
    with pytest.raises(UserError, match='--ignore sky: these maps have numbers, up to 2'):
        _code(tmp_path, _values(0, 1, 2), ignored=('sky',))


def test_masks_of_0_and_255_are_two_classes(tmp_path: Path) -> None:
    _, values, findings = _code(tmp_path, _values(0, 255), _values(0, 0), names=('ground', 'thing'))
    assert values == [[0, 1], [0]] and findings.count(Action.REPAIRED, 'masks of 0 and 255') == 1
    coding, values, _ = _code(tmp_path, _values(0, 255))
    assert values == [[0, 1]] and coding.classes == ('background', 'foreground')
    _, values, _ = _code(tmp_path, _values(0, 1, 255), names=('ground', 'thing'))
    assert values == [[0, 1, 255]], 'with three values, 255 is unlabelled'


def test_bilevel_maps(tmp_path: Path) -> None:
    _, values, _ = _code(tmp_path, _values(0, 1).astype(bool))
    assert values == [[0, 1]]


def test_colours_of_a_table(tmp_path: Path) -> None:
    picture = np.zeros((32, 48, 3), np.uint8)
    picture[:, 20:] = (70, 130, 180)
    coding, values, findings = _code(tmp_path, picture, table=TABLE)
    assert values == [[0, 2]] and coding.palette == tuple(RGB)
    assert findings.count(Action.DOUBTFUL, 'class in no file') == findings.count() == 1
    picture[0, 0] = (1, 2, 3)
    with pytest.raises(UserError, match=r'1 colours of the maps are not in labelmap.txt: \(1, 2, 3\) in 1 pixels'):
        _code(tmp_path, picture, table=TABLE)


def test_colours_without_a_table_are_named_by_themselves(tmp_path: Path) -> None:
    picture = np.zeros((32, 48, 4), np.uint8)
    picture[:, 20:] = (70, 130, 180, 99)
    picture[:, 40:] = (0, 0, 0, 255)
    coding, values, findings = _code(tmp_path, picture)
    assert coding.classes == ('#000000', '#4682b4') and values == [[0, 1]]
    assert findings.count(Action.DOUBTFUL, 'classes without names') == 1


def test_a_palette_is_read_by_its_colours_only_if_they_mean_something(tmp_path: Path) -> None:
    pair = _write(tmp_path, 'a', _values(0, 1, 2))
    for colours, expected in (([(128, 64, 128), (0, 0, 0), (70, 130, 180)], [1, 0, 2]), (list(RGB), [0, 1, 2])):
        image = Image.fromarray(_values(0, 1, 2), mode='P')
        image.putpalette([value for colour in colours for value in colour])
        image.save(pair[1])
        survey = survey_maps([pair], Findings(), TABLE.colours)
        coding = choose_coding(survey, None, TABLE, (), Findings())
        assert canonical_map(pair[1], coding, 1, TABLE.colours, 10**8)[0, ::16].tolist() == expected
    survey = survey_maps([pair], Findings())
    assert sorted(survey.pixels) == [0, 1, 2], 'indices, where no table says what colours mean'


def test_palettes_that_differ_from_file_to_file_are_told(tmp_path: Path) -> None:
    pairs = [_write(tmp_path, name, _values(0, 1)) for name in 'ab']
    for (_, seg_map), colours in zip(pairs, ((0, 0, 0, 9, 9, 9), (9, 9, 9, 0, 0, 0)), strict=True):
        image = Image.fromarray(_values(0, 1), mode='P')
        image.putpalette(list(colours))
        image.save(seg_map)
    findings = Findings()
    survey_maps(pairs, findings)
    assert findings.kinds(Action.DOUBTFUL) == {'palettes differ': 1}
    survey_maps(pairs, findings, [(0, 0, 0), (9, 9, 9)])
    assert findings.count() == 1, 'by their colours, they agree'


def test_16_bits_and_few_bits(tmp_path: Path) -> None:
    _, values, _ = _code(tmp_path, _values(0, 1, 2, dtype=np.uint16), names=('a', 'b', 'c'))
    assert values == [[0, 1, 2]]
    with pytest.raises(UserError, match=r'values up to 300, and there are 3 classes'):
        _code(tmp_path, _values(0, 1, 300, dtype=np.uint16), names=('a', 'b', 'c'))


def test_values_beyond_the_classes(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r'values up to 3, and there are 3 classes, 0 to 2: a, b, c.*--ignore 0'):
        _code(tmp_path, _values(0, 1, 3), names=('a', 'b', 'c'))
    _, values, findings = _code(tmp_path, _values(0, 1, 3), names=('a', 'b', 'c'), ignored=(0,))
    assert values == [[0, 2, 255]] and findings.count(Action.REPAIRED, 'classes counted from 1') == 1
    assert findings.count(Action.DOUBTFUL, 'class in no file') == 1


@pytest.mark.parametrize(
    ('names', 'classes'), [(('a', 'b', 'c'),) * 2, (('background', 'a', 'b', 'c'), ('a', 'b', 'c'))]
)
def test_classes_count_from_1_though_no_map_has_the_last(
    names: tuple[str, ...], classes: tuple[str, ...], tmp_path: Path
) -> None:
    coding, values, _ = _code(tmp_path, _values(0, 1, 2), names=names, ignored=(0,))
    assert coding.classes == classes and values == [[0, 1, 255]]
    with pytest.raises(UserError, match=r'values up to 4, and there are 3 classes, 1 to 3: a, b, c\. .*--classes$'):
        _code(tmp_path, _values(0, 1, 4), names=names, ignored=(0,))


def test_values_without_names(tmp_path: Path) -> None:
    coding, values, findings = _code(tmp_path, _values(0, 38, 75, 113))
    assert coding.classes == ('class 0', 'class 38', 'class 75', 'class 113') and values == [[0, 1, 2, 3]]
    assert findings.count(Action.DOUBTFUL, 'classes without names') == 1


def test_masks_of_0_and_255_with_three_classes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"labelled is 'a': .* The maps have the values 0, 255"):
        _code(tmp_path, _values(0, 255), names=('a', 'b', 'c'))


@pytest.mark.parametrize(('values', 'message'), [((255, 255), 'Every pixel'), ((0, 0), "labelled is 'class 0'")])
def test_nothing_to_learn(values: tuple[int, int], message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message):
        _code(tmp_path, _values(*values))


def test_photographs_are_no_maps(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    with pytest.raises(UserError, match=r'0.png: the maps up to here have 4,\d+ different values'):
        _code(tmp_path, noise)


def test_coloured_maps_of_which_one_shows_the_ground_alone(tmp_path: Path) -> None:
    colours = np.zeros((4, 6, 3), np.uint8)
    colours[:, 3:] = (200, 0, 10)
    pairs = [_write(tmp_path, 'a', colours), _write(tmp_path, 'b', np.zeros((4, 6, 3), np.uint8))]
    survey = survey_maps(pairs, Findings())
    coding = choose_coding(survey, None, None, (), Findings())
    assert coding.classes == ('#000000', '#c8000a')
    found = [canonical_map(seg_map, coding, 1, survey.colours, 10**6) for _, seg_map in pairs]
    assert found[0][0].tolist() == [0, 0, 0, 1, 1, 1] and not found[1].any()
    with pytest.raises(UserError, match='--ignore 0: these maps have colours'):
        choose_coding(survey, None, None, (0,), Findings())


def test_grey_and_coloured_maps_together(tmp_path: Path) -> None:
    picture = np.zeros((32, 48, 3), np.uint8)
    picture[:, 20:] = (70, 130, 180)
    with pytest.raises(UserError, match=r'Some maps are grey, such as 1\.png, and some are coloured, such as 0\.png'):
        _code(tmp_path, picture, _values(0, 1))


def test_pairs_that_cannot_be_used_are_told(tmp_path: Path) -> None:
    good = _write(tmp_path, 'good', _values(0, 1))
    other = _write(tmp_path, 'other', _values(0, 1))
    write_picture(other[0], 50, 50)
    broken = _write(tmp_path, 'broken', _values(0, 1))
    broken[1].write_bytes(broken[1].read_bytes()[:60])
    findings = Findings()
    survey = survey_maps([good, other, broken, (good[0], tmp_path / 'gone.png')], findings)
    assert [pair for pair, _ in survey.usable] == [good]
    lines = '\n'.join(findings.summary())
    assert findings.count(Action.DROPPED) == 3 and '48 x 32 px, and its picture other.jpg 50 x 50 px' in lines
    with pytest.raises(UserError, match='No picture has a segmentation map that can be used'):
        survey_maps([other], Findings())


def test_a_map_of_a_bomb_is_not_decoded(tmp_path: Path) -> None:
    pair = _write(tmp_path, 'a', _values(0, 1))
    findings = Findings()
    with pytest.raises(UserError, match='No picture'):
        survey_maps([pair], findings, max_pixels=1000)
    assert 'max-pixels' in next(findings.summary())


@pytest.mark.parametrize('orientation', [5, 6, 7, 8])
def test_a_map_of_a_picture_that_lies_down_is_turned_with_it(orientation: int, tmp_path: Path) -> None:
    values = np.zeros((32, 48), np.uint8)
    values[:5, :9] = 1
    picture, seg_map = _write(tmp_path, 'a', values, orientation)
    findings = Findings()
    survey = survey_maps([(picture, seg_map)], findings)
    assert survey.usable == [((picture, seg_map), orientation)]
    assert findings.count(Action.REPAIRED, 'EXIF orientation') == 1
    stored = Image.fromarray(values)
    stored.getexif()[0x0112] = orientation
    assert (turned(values, orientation) == np.asarray(ImageOps.exif_transpose(stored))).all()


def test_a_map_that_follows_its_turned_picture_stays(tmp_path: Path) -> None:
    picture, seg_map = _write(tmp_path, 'a', _values(0, 1), 1)
    write_picture(picture, 32, 48, orientation=6)  # upright: 48 x 32
    findings = Findings()
    assert survey_maps([(picture, seg_map)], findings).usable[0][1] == 1 and findings.count() == 0
    write_picture(picture, 48, 32, orientation=3)
    survey_maps([(picture, seg_map)], findings)
    assert findings.count(Action.DOUBTFUL, 'EXIF orientation') == 1


@pytest.mark.parametrize(
    ('text', 'names', 'colours', 'values'),
    [
        ('# label:color_rgb:parts:actions\nground:0,0,0::\nmy road:128,64,128::\n', ('ground', 'my road'), 2, None),
        ('name,r,g,b\nSky,128,128,128\nRoad,1,2,3\n', ('Sky', 'Road'), 2, None),
        ('64 128 64\tAnimal\n192 0 128\tArch way\n', ('Animal', 'Arch way'), 2, None),
        ('Pixel Value, Class\n0, ground\n7, road\n', ('ground', 'road'), None, (0, 7)),
        ('ground\nroad\n', ('ground', 'road'), None, None),
    ],
)
def test_tables_of_classes(
    text: str, names: tuple[str, ...], colours: int | None, values: tuple[int, ...] | None, tmp_path: Path
) -> None:
    write_text(tmp_path / 'labels.txt', text)
    table = read_class_table(tmp_path / 'labels.txt')
    assert (table.names, table.colours and len(table.colours), table.values) == (names, colours, values)


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('', 'names no classes'),
        ('a:0,0,0::\nb\n', 'some have none'),
        ('a:0,0,0::\nb:0,0,0::', 'twice'),
        ('a,999,0,0', '255'),
    ],
)
def test_tables_that_cannot_be_used(text: str, message: str, tmp_path: Path) -> None:
    write_text(tmp_path / 'labels.txt', text)
    with pytest.raises(UserError, match=message):
        read_class_table(tmp_path / 'labels.txt')


def test_palette_has_a_colour_for_each_class() -> None:
    assert default_palette(3) == ((0, 0, 0), (128, 0, 0), (0, 128, 0)) and len(set(default_palette(256))) == 256
