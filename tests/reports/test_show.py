"""Looking at a data set: what is counted, what is drawn, and that names are text."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from effformer_dense.data.survey import Survey
from effformer_dense.reports.histograms import object_sides, plot_histograms
from effformer_dense.reports.page import Page
from effformer_dense.reports.sheets import contact_sheets

NAMES = ('a$b^_$c', '<script>alert(1)</script>')


def _survey(**changes: object) -> Survey:
    def draw(index: int, height: int, width: int) -> np.ndarray:
        return np.full((height, width // 2, 3), 40 * index, np.uint8)

    fields: dict = dict(
        classes=NAMES,
        palette=[(255, 0, 0), (0, 0, 255)],
        unit='objects',
        counts=np.array([7, 0]),
        shown_in=[list(range(7)), []],
        num_pictures=7,
        sizes=np.tile([100, 200], (7, 1)),
        boxes=np.tile([16.0, 25.0], (7, 1)),
        box_pictures=np.arange(7),
        name=lambda index: f'{index}.png',
        draw=draw,
    )
    return Survey(**{**fields, **changes})


def test_samples_are_spread_over_all_pictures() -> None:
    assert _survey().samples(0, 3) == [0, 3, 6]
    assert _survey().samples(0, 99) == list(range(7)) and _survey().samples(1, 3) == []


def test_sheet_has_the_pictures_of_each_class_and_no_row_for_none() -> None:
    (sheet,) = contact_sheets(_survey(), per_class=3)
    assert sheet.text == NAMES[0]
    colours = {tuple(colour) for colour in sheet.image.reshape(-1, 3)[::7].tolist()}
    assert {(0, 0, 0), (120, 120, 120), (240, 240, 240)} <= colours and (255, 0, 0) in colours


def test_rows_are_as_high_as_their_pictures() -> None:
    def draw(index: int, height: int, width: int) -> np.ndarray:
        return np.zeros((height // 4, width, 3), np.uint8)

    (high,), (low,) = (contact_sheets(survey, per_class=3) for survey in (_survey(), _survey(draw=draw)))
    assert high.image.shape[0] - low.image.shape[0] == 225 and high.image.shape[1] == low.image.shape[1]


def test_many_classes_take_several_sheets() -> None:
    survey = _survey(
        classes=[f'class {n}' for n in range(20)], palette=[(n, n, n) for n in range(20)],
        counts=np.ones(20, int), shown_in=[[0]] * 20,
    )  # fmt: skip
    sheets = list(contact_sheets(survey, per_class=1))
    assert len(sheets) == 3 and ', '.join(sheet.text for sheet in sheets) == ', '.join(survey.classes)
    assert max(sheet.image.shape[0] for sheet in sheets) < 4000


def test_objects_are_measured_as_the_network_sees_them() -> None:
    assert object_sides(_survey(), np.full(7, 2.0)).tolist() == [40.0] * 7


@pytest.mark.parametrize('boxes', [True, False])
def test_histograms_take_any_name(boxes: bool, tmp_path: Path) -> None:
    survey = _survey() if boxes else _survey(boxes=None, box_pictures=None)
    path = tmp_path / 'h.png'
    plot_histograms({'train': survey, 'val': survey}, path, [(20.0, 50.0)], {'train': np.ones(7), 'val': np.ones(7)})
    width = Image.open(path).width
    assert width == pytest.approx(660 * (3 if boxes else 2), abs=2)


def test_everything_on_a_page_is_text() -> None:
    page = Page(NAMES[1])
    page.heading(NAMES[1])
    page.items([NAMES[1]])
    page.table([NAMES[1]], [[NAMES[1]]])
    page.picture('a"b <1>.png', NAMES[1])
    html = page.html()
    assert '<script>' not in html and html.count('&lt;script&gt;') == 7
    assert 'src="a%22b%20%3C1%3E.png"' in html


@pytest.fixture
def prepared(tmp_path: Path) -> Path:
    """A COCO data set of two classes, one record of which is odd, and a config for it."""
    rng, images, annotations = np.random.default_rng(0), [], []
    (tmp_path / 'pictures').mkdir()
    for index in range(6):
        Image.fromarray(rng.integers(0, 255, (120, 160, 3), np.uint8)).save(tmp_path / 'pictures' / f'{index}.png')
        images.append({'id': index + 1, 'file_name': f'{index}.png', 'width': 160, 'height': 120})
        box = [10, 20, 40, 30] if index else [500, 500, 10, 10]
        annotations.append({'id': index + 1, 'image_id': index + 1, 'category_id': 7, 'bbox': box})
    table = {'images': images, 'annotations': annotations}
    table['categories'] = [{'id': 9, 'name': NAMES[1]}, {'id': 7, 'name': NAMES[0]}]
    (tmp_path / 'all.json').write_text(json.dumps(table))
    data = f"dataset=dict(data_root={str(tmp_path)!r}, ann_file='all.json', data_prefix=dict(img='pictures'), "
    config = f"""_base_ = 'effformer_dense::fasterrcnn_v2_s1_coco.py'
data = {data.removeprefix('dataset=')}metainfo=dict(classes={NAMES!r}))
train_dataloader = val_dataloader = test_dataloader = dict(dataset=data)
"""
    (tmp_path / 'own.py').write_text(config)
    return tmp_path


def test_show_counts_draws_and_tells_what_was_odd(prepared: Path, tmp_path: Path) -> None:
    pytest.importorskip('mmdet')
    from effformer_dense.engine.show import show
    from effformer_dense.options import ConfigOptions, ShowOptions

    page = show(ConfigOptions(prepared), ShowOptions(tmp_path / 'looks', per_class=2))
    html = page.read_text()
    assert page == tmp_path / 'looks' / 'index.html' and '<script>' not in html
    assert '<td>a$b^_$c</td><td>5</td>' in html, 'the box outside the picture is left out'
    assert 'outside' in html and 'train has nothing of' in html
    assert (tmp_path / 'looks' / 'train_1.png').is_file() and not (tmp_path / 'looks' / 'val_1.png').exists()


def test_a_folder_that_was_not_prepared_is_told_what_to_do(tmp_path: Path) -> None:
    pytest.importorskip('mmdet')
    from effformer_dense.engine.show import show
    from effformer_dense.errors import UserError
    from effformer_dense.options import ConfigOptions, ShowOptions

    with pytest.raises(UserError, match=r'holds no config\..*prepare-data own'):
        show(ConfigOptions(tmp_path), ShowOptions(tmp_path / 'looks'))
    with pytest.raises(UserError, match='--per-class 0'):
        ShowOptions(per_class=0)
