"""From what a user names to files of results, with a model file; the same code serves PyTorch."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from effformer_dense.commands import cli
from effformer_dense.inference.ahead import ahead
from effformer_dense.inference.outputs import Output
from effformer_dense.inference.pictures import predict_pictures
from effformer_dense.inference.predictor import Picture
from effformer_dense.runtime.model import Model
from tests.helpers import PROJECT_ROOT
from tests.runtime.files import BOXES, backbone, detector, segmentor


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Three of two sizes, called by numbers, one of them in a folder below."""
    folder = tmp_path / 'mine'
    (folder / 'deep').mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name, size in (('000000000007.jpg', (48, 64)), ('12.png', (90, 70)), ('deep/3.png', (48, 64))):
        Image.fromarray(rng.integers(0, 256, (*size, 3), dtype=np.uint8)).save(folder / name)
    return folder


def _annotations(path: Path, categories: dict[str, int] | None = None) -> Path:
    """Of the pictures above: ground truth where the detector finds its objects."""
    names = {41: 'train/000000000007.jpg', 42: '12.png', 43: 'deep/3.png'}
    sizes = {41: (48, 64), 42: (90, 70), 43: (48, 64)}
    categories = categories or {'dark': 5, 'bright': 9}
    annotations = []
    for image_id in names:
        for box, name in zip(BOXES.tolist(), ('bright', 'dark'), strict=True):
            bbox = [box[0], box[1], box[2] - box[0], box[3] - box[1]]
            entry = dict(id=len(annotations) + 1, image_id=image_id, category_id=categories.get(name, 1), bbox=bbox)
            annotations.append({**entry, 'area': bbox[2] * bbox[3], 'iscrowd': 0})
    images = [dict(id=key, file_name=name, height=sizes[key][0], width=sizes[key][1]) for key, name in names.items()]
    rows = [dict(id=number, name=name) for name, number in categories.items()]
    path.write_text(json.dumps(dict(images=images, annotations=annotations, categories=rows)))
    return path


def _infer(*arguments: object) -> None:
    cli.main('infer', [str(argument) for argument in arguments])


def _files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob('*') if path.is_file())


def _refused(capsys: pytest.CaptureFixture, *arguments: object) -> str:
    """Message of a command that stops with status 2."""
    with pytest.raises(SystemExit) as stop:
        _infer(*arguments)
    told = capsys.readouterr().err
    assert stop.value.code == 2 and 'Traceback' not in told
    return ' '.join(told.split())


def test_a_detector_without_options(tmp_path: Path, pictures: Path) -> None:
    out = tmp_path / 'out'
    _infer(detector(tmp_path / 'm.onnx'), pictures, '--out-dir', out)
    drawn = ['pictures/000000000007.png', 'pictures/12.png', 'pictures/deep/3.png']
    assert _files(out) == [*drawn, 'predictions.json']
    coco = COCO(str(out / 'predictions.json'))
    assert [image['file_name'] for image in coco.imgs.values()] == ['000000000007.jpg', '12.png', 'deep/3.png']
    assert len(coco.anns) == 6 and {row['name']: row['id'] for row in coco.cats.values()} == {'dark': 1, 'bright': 2}
    assert coco.annToMask(coco.anns[1]).shape == (48, 64)


def test_results_below_the_pictures_are_no_pictures(
    tmp_path: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(pictures)
    (pictures / '._12.png').write_bytes(b'what a Mac leaves')
    (pictures / 'IMG_1.HEIC').write_bytes(b'a photograph of a telephone')
    model = detector(tmp_path / 'm.onnx')
    for _ in range(2):
        _infer(model, '.', '--format', 'csv')
        assert len(list(csv.DictReader((pictures / 'outputs' / 'results.csv').open()))) == 6
    told = capsys.readouterr().out
    assert 'Left out of ., for want of a reader: 1 .heic. Convert them' in told
    assert told.count('Left out: 3 pictures below outputs, where results are written') == 1
    (pictures / 'pictures').mkdir()
    (pictures / '12.png').rename(pictures / 'pictures' / '12.png')
    said = _refused(capsys, model, 'pictures', '--out-dir', pictures / 'deep' / '..')  # another way to say it
    assert '12.png would be overwritten by its own result' in said


def test_coco_results_can_be_scored(tmp_path: Path, pictures: Path) -> None:
    truth, out = _annotations(tmp_path / 'a.json'), tmp_path / 'out'
    model = detector(tmp_path / 'm.onnx')
    _infer(model, pictures, '--out-dir', out, '--format', 'coco', '--ids', truth, '--no-pictures')
    assert _files(out) == ['results.json']
    annotations = COCO(str(truth))
    evaluation = COCOeval(annotations, annotations.loadRes(str(out / 'results.json')), 'bbox')
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    assert evaluation.stats[0] == pytest.approx(1)


@pytest.mark.parametrize('source', ['deep', 'de*/*.png', 'deep/3.png'])
def test_annotation_files_know_more_of_a_path_than_was_named(tmp_path: Path, pictures: Path, source: str) -> None:
    """Another picture of the same name has another id; the folder above tells which it is."""
    truth = _annotations(tmp_path / 'truth.json')
    table = json.loads(truth.read_text())
    table['images'].append(dict(id=44, file_name='other/3.png', height=48, width=64))
    truth.write_text(json.dumps(table))
    arguments = ('--format', 'coco', '--ids', truth, '--no-pictures', '--out-dir', tmp_path / 'out')
    _infer(detector(tmp_path / 'm.onnx'), pictures / source, *arguments)
    assert {entry['image_id'] for entry in json.loads((tmp_path / 'out' / 'results.json').read_text())} == {43}


def test_names_are_of_the_folder_that_was_named(tmp_path: Path, pictures: Path) -> None:
    """Whatever else lies in it: the names of results are those of every other run. No two are the same."""
    for path in list(pictures.glob('*.*')):
        path.unlink()
    model = detector(tmp_path / 'm.onnx')
    _infer(model, pictures, '--out-dir', tmp_path / 'folder')
    _infer(model, pictures / '**' / '*.png', '--out-dir', tmp_path / 'pattern')
    _infer(model, pictures / 'deep' / '3.png', '--out-dir', tmp_path / 'file')
    assert _files(tmp_path / 'folder') == ['pictures/deep/3.png', 'predictions.json'] == _files(tmp_path / 'pattern')
    assert _files(tmp_path / 'file') == ['pictures/3.png', 'predictions.json']
    image = Image.open(pictures / 'deep' / '3.png')
    for name in ('a.jpg', 'a.png', 'a.jpg.png', 'b.jpg.png'):
        image.save(pictures / name)
    (pictures / '.ipynb_checkpoints').mkdir()
    image.save(pictures / '.ipynb_checkpoints' / 'a-checkpoint.png')
    _infer(model, pictures, '--out-dir', tmp_path / 'many')
    names = ['a.jpg.png', 'a.jpg.png.png', 'a.png.png', 'b.jpg.png', 'deep/3.png']
    assert _files(tmp_path / 'many' / 'pictures') == names


def test_a_pattern_leaves_out_results_of_the_last_run(
    tmp_path: Path, pictures: Path, capsys: pytest.CaptureFixture
) -> None:
    model, out = detector(tmp_path / 'm.onnx'), pictures / 'out'
    for _ in range(2):
        _infer(model, pictures / '**' / '*.png', '--out-dir', out)
        assert len(_files(out / 'pictures')) == 2
    assert 'Left out: 2 pictures below' in capsys.readouterr().out
    _infer(model, out / 'pictures' / '**' / '*.png', '--out-dir', out / 'again')  # who names them wants them
    assert len(_files(out / 'again' / 'pictures')) == 2
    (pictures / 'x.mp4').write_bytes(b'')
    said = _refused(capsys, model, pictures / '*.mp4')
    assert 'matches no picture' in said and 'There is: 1 .mp4. Videos are named one at a time.' in said


def test_ids_by_numbers(tmp_path: Path, pictures: Path, capsys: pytest.CaptureFixture) -> None:
    model, out = detector(tmp_path / 'm.onnx'), tmp_path / 'out'
    _infer(model, pictures, '--out-dir', out, '--format', 'coco', '--no-pictures')
    entries = json.loads((out / 'results.json').read_text())
    assert [entry['image_id'] for entry in entries] == [7, 7, 12, 12, 3, 3]
    assert [entry['category_id'] for entry in entries] == [2, 1] * 3
    (pictures / 'cat.png').write_bytes((pictures / '12.png').read_bytes())
    arguments = (model, pictures, '--out-dir', tmp_path / 'never', '--format', 'coco')
    assert 'cat.png is not called by a number' in _refused(capsys, *arguments)
    (pictures / 'cat.png').rename(pictures / '007.png')
    assert 'have the same image id, 7.' in _refused(capsys, *arguments)
    (pictures / '007.png').rename(pictures / '8.png')
    told = _refused(capsys, *arguments, '--ids', _annotations(tmp_path / 'a.json'))
    assert '8.png is not among the images of' in told
    assert not (tmp_path / 'never').exists()


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ('[]', 'is no annotation file in COCO format'),
        ('{"images": [{"id": 1}]}', 'is no annotation file in COCO format'),
        (None, 'cannot be read'),
        ('dark bright', "a category must be one of dark; got 'bright'"),
    ],
)
def test_annotation_files_that_do_not_fit(
    tmp_path: Path, pictures: Path, capsys: pytest.CaptureFixture, content: str | None, message: str
) -> None:
    path = tmp_path / 'a.json'
    if content == 'dark bright':
        _annotations(path, {'dark': 1})
    elif content is not None:
        path.write_text(content)
    arguments = ('--format', 'coco', '--ids', path, '--out-dir', tmp_path / 'never')
    assert message in _refused(capsys, detector(tmp_path / 'm.onnx'), pictures, *arguments)
    assert not (tmp_path / 'never').exists()


def test_tables_as_csv(tmp_path: Path, pictures: Path) -> None:
    _infer(detector(tmp_path / 'd.onnx'), pictures, '--out-dir', tmp_path, '--format', 'csv', '--no-pictures')
    rows = list(csv.DictReader((tmp_path / 'results.csv').open()))
    assert len(rows) == 6 and rows[0]['file'] == '000000000007.jpg' and rows[0]['class'] == 'bright'
    assert [float(rows[0][key]) for key in ('x1', 'y1', 'x2', 'y2')] == BOXES[0].tolist()
    _infer(segmentor(tmp_path / 's.onnx'), pictures, '--out-dir', tmp_path, '--format', 'csv', '--no-pictures')
    rows = list(csv.DictReader((tmp_path / 'results.csv').open()))
    assert sum(int(row['pixels']) for row in rows if row['file'] == '12.png') == 90 * 70


def test_a_segmentor(tmp_path: Path, pictures: Path) -> None:
    model, out = segmentor(tmp_path / 'm.onnx', scale=(200, 100)), tmp_path / 'out'
    _infer(model, pictures, '--out-dir', out)
    names = ['000000000007.png', '12.png', 'deep/3.png']
    folders = ('colour_maps', 'pictures', 'segmentation_maps')
    assert _files(out) == [f'{folder}/{name}' for folder in folders for name in names]
    seg_map = np.asarray(Image.open(out / 'segmentation_maps' / '12.png'))
    assert seg_map.shape == (90, 70) and set(np.unique(seg_map)) == {1, 2}
    _infer(model, pictures, '--out-dir', tmp_path / 'maps', '--no-pictures')
    assert _files(tmp_path / 'maps') == [f'segmentation_maps/{name}' for name in names]
    _infer(model, pictures, '--out-dir', tmp_path / 'coco', '--no-pictures', '--format', 'coco')
    entries = json.loads((tmp_path / 'coco' / 'results.json').read_text())
    assert {entry['image_id'] for entry in entries} == {7, 12, 3}


def test_results_of_earlier_runs_are_told(tmp_path: Path, pictures: Path, capsys: pytest.CaptureFixture) -> None:
    model, out = segmentor(tmp_path / 'm.onnx'), tmp_path / 'out'
    for source in (pictures, pictures, pictures / 'deep'):
        assert 'earlier runs' not in capsys.readouterr().out
        _infer(model, source, '--out-dir', out, '--no-pictures')
    assert f'{out / "segmentation_maps"} holds 3 results of earlier runs as well' in capsys.readouterr().out


def test_a_backbone(tmp_path: Path, pictures: Path, capsys: pytest.CaptureFixture) -> None:
    model = backbone(tmp_path / 'm.onnx')
    _infer(model, pictures, '--out-dir', tmp_path / 'out')
    assert _files(tmp_path / 'out') == ['features/000000000007.npz', 'features/12.npz', 'features/deep/3.npz']
    with np.load(tmp_path / 'out' / 'features' / '12.npz') as arrays:
        assert sorted(arrays) == ['stage1', 'stage2'] and arrays['stage1'].shape == (3, 90, 70)
    told = _refused(capsys, model, pictures, '--format', 'csv')
    assert "--format for features must be one of npz; got 'csv'" in told


def test_pictures_that_cannot_be_used(tmp_path: Path, pictures: Path, capsys: pytest.CaptureFixture) -> None:
    (pictures / 'bad.png').write_bytes(b'')
    Image.new('RGB', (1600, 40)).save(pictures / 'flat.png')
    model, out = detector(tmp_path / 'm.onnx', scale=(640, 64)), tmp_path / 'out'
    told = _refused(capsys, model, pictures, '--out-dir', out)
    assert '2 of 5 pictures cannot be used' in told and 'bad.png: the file is empty' in told
    assert 'flat.png: the model makes 640 x 16 px' in told and not out.exists()
    _infer(model, pictures, '--out-dir', out, '--skip-bad')
    assert len(_files(out)) == 4
    mine = tmp_path / 'own' / 'pictures'
    mine.mkdir(parents=True)
    (pictures / '12.png').rename(mine / '12.png')
    assert '12.png would be overwritten by its own result' in _refused(
        capsys, model, mine, '--out-dir', tmp_path / 'own'
    )


def test_what_is_refused_before_any_work(tmp_path: Path, pictures: Path, capsys: pytest.CaptureFixture) -> None:
    model = segmentor(tmp_path / 'm.onnx')
    for arguments, message in (
        ((tmp_path / 'gone.onnx', pictures), 'gone.onnx does not exist'),
        ((model, tmp_path / 'nowhere'), 'nowhere matches no file'),
        (
            (model, pictures, '--format', 'tables'),
            "segmentation must be one of png, coco, csv; got 'tables'",
        ),
        ((model, pictures, '--ids', tmp_path / 'a.json'), '--ids is for --format coco'),
        ((model, pictures, '--frames', 3), '--frames is for videos and cameras'),
        ((model, pictures, '--frames', 0), '--frames 0 is not 1 or more'),
        ((model, pictures, '--threads', 0), 'threads=0 is not 1 or more'),
        ((model, pictures, '--fuse'), '--fuse'),
        ((model, pictures, '--max-pixels', 5), '3 of 3 pictures cannot be used'),
    ):
        assert message in _refused(capsys, *arguments, '--out-dir', tmp_path / 'never')
    assert not (tmp_path / 'never').exists()


def test_results_that_cannot_be_written_leave_nothing_half(
    tmp_path: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError('in the middle')

    monkeypatch.setattr(Model, 'predict', fail)
    with pytest.raises(RuntimeError, match='in the middle'):
        _infer(detector(tmp_path / 'm.onnx'), pictures, '--out-dir', tmp_path / 'out')
    assert not (tmp_path / 'out').exists()


def test_what_was_predicted_before_an_error_is_kept(
    tmp_path: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    predict, calls = Model.predict, []

    def fail_later(model: Model, *given: Any) -> Any:
        calls.append(given)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return predict(model, *given)

    monkeypatch.setattr(Model, 'predict', fail_later)
    with pytest.raises(SystemExit) as stop:
        _infer(detector(tmp_path / 'm.onnx'), pictures, '--out-dir', tmp_path / 'out')
    assert stop.value.code == 130
    tables = json.loads((tmp_path / 'out' / 'predictions.json').read_text())
    assert len(tables['images']) == 2 and len(tables['annotations']) == 4


WITHOUT_TORCH = """
import sys
hidden = ('torch', 'mmengine', 'mmcv', 'mmdet', 'mmseg', 'cv2', 'pycocotools', 'matplotlib')
class Hide:
    def find_spec(name, path=None, target=None):
        if name in hidden:
            raise ModuleNotFoundError(f'No module named {name!r}', name=name)
sys.meta_path.insert(0, Hide)
from effformer_dense.commands.cli import effdense
effdense()
"""


def test_the_command_needs_neither_torch_nor_openmmlab(tmp_path: Path, pictures: Path) -> None:
    command = [sys.executable, '-c', WITHOUT_TORCH, 'infer', str(detector(tmp_path / 'm.onnx')), str(pictures)]
    command += ['--out-dir', str(tmp_path / 'out'), '--format', 'coco']
    done = subprocess.run(command, capture_output=True, text=True, cwd=PROJECT_ROOT)
    assert done.returncode == 0, done.stderr
    assert len(_files(tmp_path / 'out')) == 4


@pytest.mark.parametrize('most', [None, 1])
def test_work_ahead_is_in_order_and_bounded(most: int | None) -> None:
    started: list[int] = []
    lock = threading.Lock()

    def jobs() -> Iterator:
        for number in range(20):

            def job(number: int = number) -> int:
                with lock:
                    started.append(number)
                return number

            yield job

    for taken, number in enumerate(ahead(jobs(), 2, most)):
        assert number == taken and len(started) <= taken + 1 + (4 if most is None else most)
    assert sorted(started) == list(range(20))


def test_results_are_written_while_the_next_picture_is_predicted() -> None:
    """The second prediction waits for the first picture to be written, which would be for ever otherwise."""
    written = threading.Event()
    order: list[str] = []

    class Network:
        task, classes = 'none', None

        def read(self, path: Path, max_pixels: int) -> np.ndarray:
            return np.zeros((4, 4, 3), np.uint8)

        def prepare(self, pixels: np.ndarray, path: Path | None = None) -> Path | None:
            return path

        def predict(self, prepared: Sequence) -> list[str]:
            assert prepared[0].name == 'a' or written.wait(timeout=30)
            return [path.name for path in prepared]

    class Names(Output):
        def write(self, picture: Picture, result: str) -> None:
            assert picture.file_name == result
            order.append(result)
            written.set()

        def close(self) -> None:
            order.append('end')

    names = {Path(name): Path(name) for name in 'abcde'}
    predict_pictures(names, Network(), [Names()], max_pixels=100, batch=1)
    assert order == [*'abcde', 'end']


def test_work_ahead_ends_with_an_error_and_when_nobody_takes_it() -> None:
    def fail() -> None:
        raise ValueError('here')

    with pytest.raises(ValueError, match='here'):
        list(ahead([lambda: None, fail], threads=2))
    endless = iter(lambda: lambda: 1, None)
    results = ahead(endless, threads=1)
    assert [next(results), next(results)] == [1, 1]
    results.close()
