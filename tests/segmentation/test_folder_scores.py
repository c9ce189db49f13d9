"""Scoring folders: against an independent count, and what goes wrong is named."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from effformer_dense.errors import UserError
from effformer_dense.segmentation.folder_scores import ade20k_classes, read_class_names, score_folders
from effformer_dense.segmentation.numbering import Numbering
from tests.data.bombs import png_bomb
from tests.helpers import PROJECT_ROOT

CLASSES = ['wall', 'sky', 'tree', 'car']


def _write(folder: Path, name: str, seg_map: np.ndarray) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(seg_map.astype(np.uint8)).save(folder / name)


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


def _independent_miou(
    predictions: Path, annotations: Path, first_annotated: int = 1, first_predicted: int = 1, classes: int = 150
) -> float:
    """From pairs of pixels, class by class over everything."""
    unlabelled = 0 if first_annotated == 1 else 255
    pixels = []
    for path in annotations.rglob('*.png'):
        annotation = np.asarray(Image.open(path)).ravel().tolist()
        prediction = np.asarray(Image.open(predictions / path.relative_to(annotations))).ravel().tolist()
        pairs = zip(prediction, annotation, strict=True)
        pixels += [(p - first_predicted, a - first_annotated) for p, a in pairs if a != unlabelled]
    ious = []
    for index in range(classes):
        both = sum(p == a == index for p, a in pixels)
        either = sum(index in pair for pair in pixels)
        if either:
            ious.append(both / either)
    return sum(ious) / len(ious)


def _change(folder: Path, change: Callable[[np.ndarray], np.ndarray]) -> None:
    for path in folder.rglob('*.png'):
        _write(folder, path.relative_to(folder).as_posix(), change(np.asarray(Image.open(path)).astype(int)))


def test_score_is_that_of_an_independent_count(folders: tuple[Path, Path]) -> None:
    result = score_folders(*folders, CLASSES)
    scores = result.scores
    assert scores.summary()['mIoU'] == pytest.approx(_independent_miou(*folders), abs=1e-12)
    assert (scores.num_pictures, scores.num_left_out, result.notes) == (3, 1, [])


def test_predictions_from_zero_only_when_said(folders: tuple[Path, Path]) -> None:
    predictions, annotations = folders
    expected = score_folders(predictions, annotations, CLASSES).scores.summary()
    _change(predictions, lambda seg_map: seg_map - 1)
    with pytest.raises(
        ValueError, match=r'\.png: label 0 in \d+ annotated pixels; .* right then\): --first-class 1 0\.'
    ):
        score_folders(predictions, annotations, CLASSES)
    result = score_folders(predictions, annotations, CLASSES, Numbering(1, 0))
    assert result.scores.summary() == expected and result.notes == []
    assert expected['mIoU'] == pytest.approx(_independent_miou(predictions, annotations, 1, 0), abs=1e-12)


@pytest.fixture
def from_zero(tmp_path: Path) -> tuple[Path, Path]:
    """Both folders count the four classes from 0; 255 is unlabelled."""
    rng = np.random.default_rng(1)
    predictions, annotations = tmp_path / 'predictions', tmp_path / 'annotations'
    for name in ('a.png', 'b.png'):
        annotation = rng.integers(0, 4, (23, 31))
        guess = np.where(rng.random(annotation.shape) < 0.3, annotation, rng.integers(0, 4, annotation.shape))
        annotation[:3] = 255
        _write(annotations, name, annotation)
        _write(predictions, name, guess)
    return predictions, annotations


def test_both_folders_from_zero(from_zero: tuple[Path, Path]) -> None:
    with pytest.raises(ValueError, match=r'label 255 in 93 pixels; labels go from 1 to 4, .* --first-class'):
        score_folders(*from_zero, CLASSES)
    result = score_folders(*from_zero, CLASSES, Numbering(0, 0))
    expected = _independent_miou(*from_zero, 0, 0)
    assert result.scores.summary()['mIoU'] == pytest.approx(expected, abs=1e-12)
    assert list(result.scores.labels) == [0, 1, 2, 3]


def test_both_folders_from_zero_without_unlabelled_pixels(from_zero: tuple[Path, Path]) -> None:
    """Nothing but zeros gives the numbering away: the advice must not shift one side alone."""
    _change(from_zero[1], lambda seg_map: np.where(seg_map == 255, 0, seg_map))
    right = _independent_miou(*from_zero, 0, 0)
    shifted = _independent_miou(*from_zero, 1, 0)
    assert right > shifted + 0.1
    with pytest.raises(ValueError, match=r'If both folders count the classes from 0 \(4\d\.\d% .*: --first-class 0\.'):
        score_folders(*from_zero, CLASSES)
    scores = score_folders(*from_zero, CLASSES, Numbering(0, 0)).scores
    assert scores.summary()['mIoU'] == pytest.approx(right, abs=1e-12)
    (note,) = score_folders(*from_zero, CLASSES, Numbering(1, 0)).notes
    assert note.startswith('ATTENTION: ') and note.endswith('--first-class 0.')


def test_zeros_that_could_be_a_class_are_told(from_zero: tuple[Path, Path]) -> None:
    """A perfect prediction from 0 has zeros in no pixel that counts from 1."""
    predictions, annotations = from_zero
    _change(annotations, lambda seg_map: np.where(seg_map == 255, 0, seg_map))
    shutil.rmtree(predictions)
    shutil.copytree(annotations, predictions)
    zeros = sum(int((np.asarray(Image.open(path)) == 0).sum()) for path in annotations.glob('*.png'))
    (note,) = score_folders(*from_zero, CLASSES).notes
    assert note.startswith(f'0 stands in {zeros:,} pixels of both') and note.endswith('first class: --first-class 0.')
    assert score_folders(*from_zero, CLASSES, Numbering(1, 1)).notes == []


def test_annotated_pixels_without_a_class_are_refused(from_zero: tuple[Path, Path]) -> None:
    predictions, annotations = from_zero
    with pytest.raises(ValueError, match=r'label 255, which is no class, in 93 annotated .* two folders swapped'):
        score_folders(annotations, predictions, CLASSES, Numbering(0, 0))


def test_sides_that_cannot_match_are_refused(folders: tuple[Path, Path]) -> None:
    """Numbers say nothing here, but under another numbering every pixel is right."""
    predictions, annotations = folders
    _change(annotations, lambda seg_map: np.where(seg_map == 1, 0, seg_map))  # the first class is nowhere
    for path in annotations.rglob('*.png'):
        annotation = np.asarray(Image.open(path))
        _write(predictions, path.relative_to(annotations).as_posix(), np.where(annotation == 0, 1, annotation - 1))
    with pytest.raises(
        ValueError, match=r'^0\.0% of the .* predictions from 0 \(100\.0% .*: --first-class 1 0\. .* 1\.$'
    ):
        score_folders(predictions, annotations, CLASSES)
    (note,) = score_folders(predictions, annotations, CLASSES, Numbering(1, 1)).notes
    assert note.startswith('ATTENTION: 0.0% of the annotated pixels are right as they stand. If annotations count')
    result = score_folders(predictions, annotations, CLASSES, Numbering(1, 0))
    assert result.scores.summary()['aAcc'] == 1 and result.notes == []


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
    ('seg_map', 'message'),
    [
        (np.full((23, 31), 5), r'b\.png: label 5 in 713 pixels; labels go from 1 to 4'),
        (np.ones((31, 23)), r'b\.png is 23 x 31 px, its annotation .*b\.png 31 x 23 px'),
        (np.ones((23, 31, 3)), r'b\.png: a picture of mode RGB'),
    ],
)
@pytest.mark.parametrize('side', [0, 1])
def test_wrong_files_are_refused_on_both_sides(side: int, seg_map: np.ndarray, message: str, folders) -> None:
    _write(folders[side], 'b.png', seg_map)
    if 'annotation' in message and side:
        message = r'b\.png is 31 x 23 px, its annotation .*b\.png 23 x 31 px'
    with pytest.raises(ValueError, match=message):
        score_folders(*folders, CLASSES)


def test_maps_of_too_many_pixels_are_refused_on_both_sides(folders: tuple[Path, Path]) -> None:
    for folder in folders:
        bomb = png_bomb(folder / 'b.png', 50_000, 50_000)
        with pytest.raises(UserError, match=rf'{bomb}: 50000 x 50000 px; .* raise --max-pixels'):
            score_folders(*folders, CLASSES)
        _write(folder, 'b.png', np.ones((23, 31)))
    with pytest.raises(UserError, match='31 x 23 px; up to 712 pixels are read'):
        score_folders(*folders, CLASSES, max_pixels=712)


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
