"""Scoring folders: against an independent count, and what goes wrong is named."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from effformer_dense.segmentation.label_folders import ade20k_classes, read_class_names, score_folders
from tests.helpers import PROJECT_ROOT

CLASSES = ['wall', 'sky', 'tree', 'car']


def _write(folder: Path, name: str, labels: np.ndarray) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(labels.astype(np.uint8)).save(folder / name)


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Three pictures, one in a folder of its own; classes 1 to 3 annotated, class 4 nowhere."""
    rng = np.random.default_rng(0)
    predictions, annotations = tmp_path / 'predictions', tmp_path / 'annotations'
    for name in ('a.png', 'b.png', 'sub/a.png'):
        annotation = rng.integers(0, 4, (23, 31))
        prediction = np.where(
            rng.random(annotation.shape) < 0.6, annotation.clip(1), rng.integers(1, 4, annotation.shape)
        )
        _write(annotations, name, annotation)
        _write(predictions, name, prediction)
    return predictions, annotations


def _independent_miou(predictions: Path, annotations: Path) -> float:
    """From sets of pixels, class by class over everything."""
    pixels = []
    for path in annotations.rglob('*.png'):
        annotation = np.asarray(Image.open(path)).ravel()
        prediction = np.asarray(Image.open(predictions / path.relative_to(annotations))).ravel()
        pixels += [(p, a) for p, a in zip(prediction.tolist(), annotation.tolist(), strict=True) if a != 0]
    ious = []
    for label in range(1, 151):
        both = sum(p == a == label for p, a in pixels)
        either = sum(label in pair for pair in pixels)
        if either:
            ious.append(both / either)
    return sum(ious) / len(ious)


def test_score_is_that_of_an_independent_count(folders: tuple[Path, Path]) -> None:
    result = score_folders(*folders, CLASSES)
    scores = result.scores
    assert scores.summary()['mIoU'] == pytest.approx(_independent_miou(*folders), abs=1e-12)
    assert (scores.num_pictures, scores.num_left_out, result.notes) == (3, 1, [])


def test_predictions_from_zero_only_when_said(folders: tuple[Path, Path]) -> None:
    predictions, annotations = folders
    expected = score_folders(predictions, annotations, CLASSES).scores.summary()
    for path in predictions.rglob('*.png'):
        _write(predictions, path.relative_to(predictions).as_posix(), np.asarray(Image.open(path)) - 1)
    with pytest.raises(ValueError, match=r'\.png: label 0 in \d+ annotated pixels; .* --zero-based-predictions'):
        score_folders(predictions, annotations, CLASSES)
    assert score_folders(predictions, annotations, CLASSES, zero_based_predictions=True).scores.summary() == expected


def test_other_numbering_is_noticed_where_no_label_gives_it_away(folders: tuple[Path, Path]) -> None:
    predictions, annotations = folders
    with pytest.raises(
        ValueError, match=r'None of the 3 predictions .* holds a 0, .* leave --zero-based-predictions out'
    ):
        score_folders(predictions, annotations, CLASSES, zero_based_predictions=True)
    for path in annotations.rglob('*.png'):  # no wall (1) anywhere, so that numbers from 0 begin with 1
        name = path.relative_to(annotations).as_posix()
        annotation = np.where(np.asarray(Image.open(path)) == 1, 0, np.asarray(Image.open(path)))
        _write(annotations, name, annotation)
        _write(predictions, name, np.where(annotation == 0, 1, annotation - 1))
    (note,) = score_folders(predictions, annotations, CLASSES).notes
    assert note.startswith('ATTENTION: 0.0% of the pixels are right as they stand, 100.0% if')


def test_hidden_files_are_none(folders: tuple[Path, Path]) -> None:
    (folders[1] / '._a.png').write_bytes(b'metadata of another system')
    assert score_folders(*folders, CLASSES).scores.num_pictures == 3


def test_zeros_where_nothing_is_annotated_do_not_matter(folders: tuple[Path, Path]) -> None:
    predictions, annotations = folders
    expected = score_folders(predictions, annotations, CLASSES).scores.summary()
    for path in predictions.rglob('*.png'):
        name = path.relative_to(predictions).as_posix()
        annotation = np.asarray(Image.open(annotations / name))
        _write(predictions, name, np.where(annotation == 0, 0, np.asarray(Image.open(path))))
    assert score_folders(predictions, annotations, CLASSES).scores.summary() == expected


def test_extra_predictions_are_told_and_not_scored(folders: tuple[Path, Path]) -> None:
    predictions, annotations = folders
    expected = score_folders(predictions, annotations, CLASSES).scores.summary()
    shutil.copy(predictions / 'a.png', predictions / 'other.png')
    result = score_folders(predictions, annotations, CLASSES)
    assert result.scores.summary() == expected
    assert result.notes == ['1 predictions have no annotation and were not scored: other.png']


@pytest.mark.parametrize(
    ('labels', 'message'),
    [
        (np.full((23, 31), 5), r'b\.png: label 5 in 713 pixels; labels go from 1 to 4'),
        (np.ones((31, 23)), r'b\.png is 23 x 31 px, its annotation .*b\.png 31 x 23 px'),
        (np.ones((23, 31, 3)), r'b\.png: a picture of mode RGB'),
    ],
)
@pytest.mark.parametrize('side', [0, 1])
def test_wrong_files_are_refused_on_both_sides(side: int, labels: np.ndarray, message: str, folders) -> None:
    _write(folders[side], 'b.png', labels)
    if 'annotation' in message and side:
        message = r'b\.png is 31 x 23 px, its annotation .*b\.png 23 x 31 px'
    with pytest.raises(ValueError, match=message):
        score_folders(*folders, CLASSES)


def test_missing_things_are_named(folders: tuple[Path, Path], tmp_path: Path) -> None:
    predictions, annotations = folders
    (predictions / 'a.png').unlink()
    with pytest.raises(ValueError, match=r'1 of 3 annotations have no prediction .*: a\.png\. Predict them'):
        score_folders(predictions, annotations, CLASSES)
    with pytest.raises(ValueError, match=r'folder of predictions, .*nowhere, does not exist'):
        score_folders(tmp_path / 'nowhere', annotations, CLASSES)
    (tmp_path / 'empty').mkdir()
    with pytest.raises(ValueError, match=r'empty holds no annotations \(\*\.png\)'):
        score_folders(predictions, tmp_path / 'empty', CLASSES)
    with pytest.raises(ValueError, match='The list of classes is empty'):
        score_folders(predictions, annotations, [])


def test_class_names_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / 'names.txt'
    path.write_text('wall\nsky tower\n\n')
    assert read_class_names(path) == ['wall', 'sky tower']
    path.write_text('\n')
    with pytest.raises(ValueError, match=r'names\.txt has no class names'):
        read_class_names(path)
    with pytest.raises(ValueError, match=r'gone\.txt cannot be read'):
        read_class_names(tmp_path / 'gone.txt')


def test_ade20k_has_its_150_names() -> None:
    pytest.importorskip('mmseg')
    names = ade20k_classes()
    assert len(names) == 150 and names[0] == 'wall' and names[149] == 'flag'


@pytest.mark.slow
def test_the_tool_prints_and_writes_the_score(folders: tuple[Path, Path], tmp_path: Path) -> None:
    names = tmp_path / 'names.txt'
    names.write_text('\n'.join(CLASSES))
    command = [sys.executable, str(PROJECT_ROOT / 'tools' / 'eval_ade20k.py'), *map(str, folders)]
    options = ['--classes', str(names), '--out-dir', str(tmp_path / 'out')]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=True)
    printed = next(line for line in done.stdout.splitlines() if line.startswith('mIoU: '))
    assert float(printed.split()[1]) == pytest.approx(_independent_miou(*folders), abs=1e-6)
    assert '3 of 4 classes: 1 left out of the mean' in done.stdout
    assert sorted(p.name for p in (tmp_path / 'out').iterdir()) == ['scores.csv', 'scores.json']
    (folders[0] / 'a.png').unlink()
    failed = subprocess.run([*command, *options], capture_output=True, text=True)
    assert failed.returncode == 2 and 'Traceback' not in failed.stderr and 'a.png' in failed.stderr
