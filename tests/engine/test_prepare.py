"""Checking a data set's folder and linking it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from effformer_dense.config import home
from effformer_dense.engine.prepare import prepare_data
from tests.helpers import PROJECT_ROOT


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project, which is also the current directory."""
    folder = tmp_path / 'project'
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setattr(home, 'CHECKOUT', folder)
    return folder


@pytest.fixture
def coco(tmp_path: Path) -> Path:
    """Two pictures in COCO layout, val2017 only."""
    root = tmp_path / 'coco'
    for folder in ('val2017', 'annotations'):
        (root / folder).mkdir(parents=True)
    images = []
    for index in range(2):
        Image.new('RGB', (64, 48)).save(root / 'val2017' / f'{index}.jpg')
        images.append({'id': index, 'file_name': f'{index}.jpg', 'height': 48, 'width': 64})
    table = {'images': images, 'annotations': [], 'categories': [{'id': 1, 'name': 'person'}]}
    (root / 'annotations' / 'instances_val2017.json').write_text(json.dumps(table))
    return root


def test_part_of_a_data_set_is_accepted_when_said_and_linked(ade_root: Path, project: Path) -> None:
    with pytest.raises(ValueError, match=r'lacks images/training, annotations/training; it holds .*--partial'):
        prepare_data('ade20k', ade_root)
    lines = prepare_data('ade20k', ade_root, partial=True)
    assert lines[0] == 'images/validation: 3 of 2,000 files; 3 opened'
    assert 'annotations/training: not there' in lines
    link = project / 'data' / 'ade' / 'ADEChallengeData2016'
    assert link.is_symlink() and link.resolve() == ade_root.resolve()
    assert prepare_data('ade20k', ade_root, partial=True)[-1] == f'{link}: in place already'
    assert prepare_data('ade20k', None, partial=True)[0] == lines[0], 'found where the configs look'


def test_something_else_in_the_place_stays(ade_root: Path, project: Path) -> None:
    place = project / 'data' / 'ade' / 'ADEChallengeData2016'
    place.mkdir(parents=True)
    with pytest.raises(ValueError, match=r'is there already, something else\. Move it away, or .*--data-root'):
        prepare_data('ade20k', ade_root, partial=True)
    place.rmdir()
    place.symlink_to(project)
    with pytest.raises(ValueError, match=r'is there already, a link to '):
        prepare_data('ade20k', ade_root, partial=True)
    assert prepare_data('ade20k', ade_root, partial=True, link=False)


def test_nothing_there_says_how_to_get_it(project: Path) -> None:
    for name, repository in (('ade20k', 'OpenDataLab/ADE20K_2016'), ('coco', 'OpenDataLab/COCO_2017')):
        with pytest.raises(ValueError, match=r'does not exist') as caught:
            prepare_data(name, None)
        assert f'openxlab dataset get --dataset-repo {repository} --target-path data' in str(caught.value)


def test_numbers_of_files_are_compared_with_the_release(ade_root: Path, project: Path) -> None:
    for folder in ('images', 'annotations'):
        (ade_root / folder / 'training').mkdir()
    with pytest.raises(ValueError, match=r'images.training holds no \.jpg files; it holds nothing'):
        prepare_data('ade20k', ade_root)
    for path in list((ade_root / 'images/validation').iterdir()) + list(
        (ade_root / 'annotations/validation').iterdir()
    ):
        (path.parent.parent / 'training' / path.name).write_bytes(path.read_bytes())
    with pytest.raises(ValueError, match=r'images.training holds 3 files \*\.jpg, the release 20,210'):
        prepare_data('ade20k', ade_root)


def test_broken_files_are_named(ade_root: Path, coco: Path, project: Path) -> None:
    path = ade_root / 'annotations' / 'validation' / '2.png'
    Image.fromarray(np.full((82, 96), 200, np.uint8)).save(path)
    with pytest.raises(ValueError, match=r'2\.png: label 200'):
        prepare_data('ade20k', ade_root, partial=True)
    picture = coco / 'val2017' / '1.jpg'
    picture.write_bytes(picture.read_bytes()[:-30])
    with pytest.raises(ValueError, match=r'1\.jpg: the JPEG data is truncated'):
        prepare_data('coco', coco, partial=True)


def test_pairs_and_single_map_folders(ade_root: Path, project: Path) -> None:
    labels = ade_root / 'annotations' / 'validation'
    (labels / '1.png').rename(labels / '9.png')
    with pytest.raises(ValueError, match=r'1 of 3 segmentation maps in .* have no picture: 9\.png'):
        prepare_data('ade20k', ade_root, partial=True)
    (labels / '9.png').unlink()
    with pytest.raises(ValueError, match=r'1 files are missing: .*1\.png'):
        prepare_data('ade20k', ade_root, partial=True)
    shutil.rmtree(ade_root / 'images')
    with pytest.raises(ValueError, match=r'lacks images.training'):
        prepare_data('ade20k', ade_root, partial=True)


def test_archive_and_wrong_name_even_for_a_part(ade_root: Path, project: Path) -> None:
    archive = project / 'ADEChallengeData2016.zip'
    archive.write_text('')
    with pytest.raises(ValueError, match=r'is a file\. Unpack it'):
        prepare_data('ade20k', archive)
    (ade_root / 'annotations' / 'validation').rename(ade_root / 'annotations' / 'val')
    with pytest.raises(ValueError, match=r'Under other names it is there: mv .*annotations/val '):
        prepare_data('ade20k', ade_root, partial=True)


def test_coco_names_its_pictures(coco: Path, project: Path) -> None:
    lines = prepare_data('coco', coco, partial=True)
    assert lines[0] == 'val2017: 2 of 5,000 files, 2 of them in annotations/instances_val2017.json; 2 opened'
    (coco / 'val2017' / '0.jpg').unlink()
    with pytest.raises(ValueError, match=r'of 2 pictures 1 can be used(?s:.*)0\.jpg: not in .*val2017'):
        prepare_data('coco', coco, partial=True)


@pytest.mark.slow
def test_the_tool(ade_root: Path, tmp_path: Path) -> None:
    command = [sys.executable, str(PROJECT_ROOT / 'tools' / 'prepare_data.py'), 'ade20k']
    done = subprocess.run([*command, str(ade_root), '--partial', '--no-link'], capture_output=True, text=True)
    assert done.returncode == 0 and 'images/validation: 3 of 2,000 files' in done.stdout
    wrong = subprocess.run([*command, str(ade_root / 'images')], capture_output=True, text=True, cwd=tmp_path)
    assert wrong.returncode == 2 and 'Traceback' not in wrong.stderr
    assert f'The data set begins at {ade_root}: name that folder.' in wrong.stderr
