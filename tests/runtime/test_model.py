"""From pictures to results, by files whose results are known."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper
from PIL import Image

from effformer_dense.errors import MissingPackageError, UserError
from effformer_dense.results import Detections, Features, Segmentation
from effformer_dense.runtime import load, sessions
from effformer_dense.runtime import model as model_module
from effformer_dense.runtime.metadata import KEY, Metadata
from tests.helpers import PROJECT_ROOT

from .files import BOXES, CLASSES, LABELS, PALETTE, SCORES, backbone, detector, segmentor, to_openvino


@pytest.fixture
def picture() -> np.ndarray:
    """48 x 64 px, red to the right of the middle."""
    pixels = np.random.default_rng(0).integers(0, 100, (48, 64, 3), dtype=np.uint8)
    pixels[:, 32:, 0] = 255
    return pixels


@pytest.fixture(params=['onnx', 'openvino'])
def convert(request: pytest.FixtureRequest):
    """A file as it is, or OpenVINO's version of it."""
    pytest.importorskip(request.param)
    return to_openvino if request.param == 'openvino' else lambda path: path


def test_detections(tmp_path: Path, picture: np.ndarray, convert) -> None:
    found = load(convert(detector(tmp_path / 'm.onnx')), threads=1)(picture)
    assert isinstance(found, Detections) and found.picture is picture
    assert np.array_equal(found.boxes, BOXES) and np.array_equal(found.labels, LABELS)
    assert np.array_equal(found.scores, SCORES)
    assert found.masks.shape == (2, 48, 64) and found.masks.dtype == bool
    assert found.masks[0, 10, 30] and not found.masks[0, 10, 20] and not found.masks[0, 40].any()
    drawn = found.draw(0.5)
    assert drawn.shape == (480, 640, 3)
    assert drawn[200, 80].tolist() == [0, 0, 255] and drawn[250, 200].tolist() != [255, 0, 0], 'only the first is drawn'
    entry = found.to_coco(7)[0]
    assert entry['image_id'] == 7 and entry['category_id'] == 2 and entry['bbox'] == [8, 4, 32, 32]
    assert entry['score'] == pytest.approx(0.9) and entry['area'] == found.masks[0].sum() > 100


def test_several_threads_get_the_results_of_their_own_pictures(tmp_path: Path, convert) -> None:
    model = load(convert(backbone(tmp_path / 'm.onnx')), threads=1)
    pictures = [np.full((256, 256, 3), 40 * number, np.uint8) for number in range(4)]
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(model, pictures * 16))
    assert all((one.stages[0] == picture[0, 0, 0]).all() for one, picture in zip(found, pictures * 16, strict=True))


def test_boxes_go_back_to_the_picture(tmp_path: Path, picture: np.ndarray) -> None:
    found = load(detector(tmp_path / 'm.onnx', scale=(128, 96)))(picture)
    np.testing.assert_allclose(found.boxes, BOXES / 2)
    assert found.masks[0, 10, 18] and not found.masks[0, 10, 6]


def test_a_file_for_one_size_pads(tmp_path: Path, picture: np.ndarray) -> None:
    """64 x 48 px become 128 x 96 of 128 x 160; a box in the padding is none, one across its edge ends there."""
    found = load(detector(tmp_path / 'm.onnx', size=(160, 128)))(picture)
    np.testing.assert_allclose(found.boxes, BOXES / 2)
    low = load(detector(tmp_path / 'low.onnx', size=(96, 32)))(picture)  # 32 x 24 px of it are the picture
    np.testing.assert_allclose(low.boxes, [[16, 8, 64, 48], [40, 40, 64, 48]])
    assert low.masks[0, 20, 60] and not low.masks[0, 20, 40], 'the mask is that of the whole box'
    tiny = load(detector(tmp_path / 'tiny.onnx', size=(32, 16)))(picture)  # 16 x 12 px
    np.testing.assert_allclose(tiny.boxes, [[32, 16, 64, 48]])


def test_no_detections_and_no_masks(tmp_path: Path, picture: np.ndarray, convert) -> None:
    found = load(detector(tmp_path / 'm.onnx', count=0))(picture)
    assert len(found) == 0 and found.masks.shape == (0, 48, 64) and found.to_coco(1) == [] and found.rows() == []
    assert found.draw().shape == (480, 640, 3)
    boxes = load(convert(detector(tmp_path / 'b.onnx', masks=False)))(picture)
    assert boxes.masks is None and 'segmentation' not in boxes.to_coco(1)[0]


@pytest.mark.parametrize('output', ['labels', 'logits'])
@pytest.mark.parametrize('scale', [None, (128, 96), (44, 33)])
def test_segmentation(tmp_path: Path, picture: np.ndarray, convert, output: str, scale: tuple | None) -> None:
    found = load(convert(segmentor(tmp_path / 'm.onnx', output, scale=scale)))(picture)
    assert isinstance(found, Segmentation) and found.labels.shape == (48, 64) and found.labels.dtype == np.uint8
    assert not found.labels[:, :31].any() and found.labels[:, 33:].all()
    assert np.array_equal(found.to_map(), found.labels + 1), 'numbers'
    assert found.draw().shape == (48, 64, 3) and found.draw_map().shape[1] > 64
    (dark, bright) = found.to_coco(3)
    assert (dark['category_id'], bright['category_id']) == (1, 2)


@pytest.mark.parametrize('output', ['labels', 'logits'])
def test_labels_of_large_pictures_are_enlarged(
    tmp_path: Path, picture: np.ndarray, convert, output: str, monkeypatch
) -> None:
    """As if there were memory for a quarter of the pixels, of two classes."""
    model = load(convert(segmentor(tmp_path / 'm.onnx', output)))
    if 'size' not in model._session.inputs:
        pytest.skip('this file asks for no size')
    monkeypatch.setattr(model_module, '_MOST_LOGITS', 2 * 48 * 64 // 4)
    assert model._asked((48, 64)) == (24, 32) and model._asked((20, 30)) == (20, 30)
    found = model(picture)
    assert found.labels.shape == (48, 64)
    assert not found.labels[:, :30].any() and found.labels[:, 34:].all()


@pytest.mark.parametrize('output', ['labels', 'logits'])
@pytest.mark.parametrize('size', [(96, 96), (32, 64), (60, 41)])
def test_segmentation_at_a_fixed_size(tmp_path: Path, picture: np.ndarray, output: str, size: tuple[int, int]) -> None:
    found = load(segmentor(tmp_path / 'm.onnx', output, size))(picture)
    assert found.labels.shape == (48, 64)
    assert not found.labels[:, :30].any() and found.labels[:, 34:].all()


def test_one_logit_for_each_pixel_has_no_threshold(tmp_path: Path, picture: np.ndarray) -> None:
    path = backbone(tmp_path / 'm.onnx')
    model = onnx.load(str(path))
    model.graph.node[0].CopyFrom(helper.make_node('ReduceMean', ['image'], ['logits'], axes=[1]))
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info('logits', 1, [1, 1, 'height', 'width']))
    helper.set_model_props(
        model, {KEY: Metadata('segmentation', ('logits',), CLASSES, PALETTE, numbers=(1, 2)).to_json()}
    )
    onnx.save(model, str(path))
    with pytest.raises(UserError, match='one logit for each pixel, and no threshold: export it with labels'):
        load(path)(picture)


def test_features_and_padding(tmp_path: Path, picture: np.ndarray, convert) -> None:
    found = load(convert(backbone(tmp_path / 'm.onnx')))(picture)
    assert isinstance(found, Features)
    assert np.array_equal(found.stages[0], picture.transpose(2, 0, 1)) and found.stages[0].dtype == np.float32
    assert np.array_equal(found.stages[1], found.stages[0] / 2) and found.names == ('stage1', 'stage2')
    fixed = load(convert(backbone(tmp_path / 'f.onnx', (80, 64))))(picture).stages[0]
    assert fixed.shape == (3, 80, 64) and np.array_equal(fixed[:, :48], picture.transpose(2, 0, 1))
    assert np.array_equal(fixed[:, 48:], np.broadcast_to(np.array([10.0, 20, 30])[:, None, None], (3, 32, 64)))


def test_paths_images_and_arrays_are_the_same(tmp_path: Path, picture: np.ndarray) -> None:
    model = load(str(backbone(tmp_path / 'm.onnx')))
    Image.fromarray(picture).save(tmp_path / 'a.png')
    for given in (tmp_path / 'a.png', str(tmp_path / 'a.png'), Image.fromarray(picture), picture):
        assert np.array_equal(model(given).stages[0], picture.transpose(2, 0, 1))


@pytest.mark.parametrize(('asked', 'granted', 'taken'), [(None, 3, 3), (None, None, 0), (5, 3, 5)])
def test_threads_are_those_of_the_user_or_of_the_process(
    asked: int | None, granted: int | None, taken: int, tmp_path: Path, convert, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many as a quota lets run at once; 0 and nothing leave it to the runtime."""
    seen = []
    if convert is to_openvino:
        import openvino

        def compile_model(core, model, device, properties, original=openvino.Core.compile_model):
            seen.append(properties.get('INFERENCE_NUM_THREADS', 0))
            return original(core, model, device, properties)

        monkeypatch.setattr(openvino.Core, 'compile_model', compile_model)
    else:
        import onnxruntime

        def session(path, options, original=onnxruntime.InferenceSession, **kwargs):
            seen.append(options.intra_op_num_threads)
            return original(path, options, **kwargs)

        monkeypatch.setattr(onnxruntime, 'InferenceSession', session)
    monkeypatch.setattr(sessions, 'granted_cores', lambda: granted)
    load(convert(detector(tmp_path / 'm.onnx')), threads=asked)
    assert seen == [taken]


def test_what_is_refused(tmp_path: Path, picture: np.ndarray) -> None:
    path = detector(tmp_path / 'm.onnx')
    with pytest.raises(UserError, match=r'm\.onnx is for detection, and a model for segmentation is wanted'):
        load(path, task='segmentation')
    with pytest.raises(UserError, match='does not exist'):
        load(tmp_path / 'gone.onnx')
    with pytest.raises(UserError, match=r"must be one of \.onnx, \.xml; got '\.pth'"):
        load(tmp_path / 'a.pth')
    with pytest.raises(UserError, match='threads=0 is not 1 or more'):
        load(path, threads=0)
    (tmp_path / 'cut.onnx').write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(UserError, match=r'cut\.onnx cannot be read by ONNX Runtime: is it whole'):
        load(tmp_path / 'cut.onnx')
    model = load(detector(tmp_path / 'flat.onnx', scale=(640, 64)))
    with pytest.raises(UserError, match='the model makes 640 x 16 px of its 1600 x 40 px; both sides must keep 32 px'):
        model(np.zeros((40, 1600, 3), np.uint8))
    with pytest.raises(UserError, match='The picture: 64 x 31 px'):
        model(picture[:31])


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        (None, r'was not exported by effformer_dense: it has no metadata'),
        ('{', 'has metadata that cannot be read'),
        (
            Metadata('pose', ('image',)).to_json(),
            "task must be one of features, segmentation, detection; got 'pose'",
        ),
        (Metadata('detection', ('boxes',)).to_json(), r'does not hold what its metadata say: inputs image'),
    ],
)
def test_files_that_are_not_ours(tmp_path: Path, text: str | None, message: str) -> None:
    path = backbone(tmp_path / 'm.onnx')
    model = onnx.load(str(path))
    helper.set_model_props(model, {} if text is None else {KEY: text})
    if text is None:
        del model.metadata_props[:]
    onnx.save(model, str(path))
    with pytest.raises(UserError, match=message):
        load(path)


def test_openvino_files_that_are_broken(tmp_path: Path) -> None:
    pytest.importorskip('openvino')
    path = to_openvino(segmentor(tmp_path / 'm.onnx'))
    text = path.read_text()
    path.write_text(text[: len(text) // 2])
    with pytest.raises(UserError, match=r'm\.xml cannot be read by OpenVINO: is it whole'):
        load(path)
    path.write_text(text)
    weights = path.with_suffix('.bin').read_bytes()
    path.with_suffix('.bin').write_bytes(weights[: len(weights) // 2])
    with pytest.raises(UserError, match=r'm\.xml cannot be read by OpenVINO: is it whole'):
        load(path)
    path.with_suffix('.bin').unlink()
    with pytest.raises(UserError, match=r'm\.xml cannot be read by OpenVINO: is it whole'):
        load(path)


@pytest.mark.parametrize(
    ('name', 'package', 'extra'), [('a.onnx', 'onnxruntime', 'runtime'), ('a.xml', 'openvino', 'openvino')]
)
def test_runtimes_that_are_missing(tmp_path: Path, monkeypatch, name: str, package: str, extra: str) -> None:
    (tmp_path / name).touch()
    monkeypatch.setitem(sys.modules, package, None)
    message = rf"{package}, which is not installed: pip install 'effformer_dense\[{extra}\]"
    with pytest.raises(MissingPackageError, match=message):
        load(tmp_path / name)


LIGHT = """
import sys, time
start = time.perf_counter()
import effformer_dense.runtime
took = time.perf_counter() - start
heavy = ('torch', 'mmengine', 'mmcv', 'mmdet', 'mmseg', 'cv2', 'onnxruntime', 'openvino', 'av', 'rich')
assert not [name for name in heavy if name in sys.modules], sorted(sys.modules)
effformer_dense.runtime.load(sys.argv[1])(sys.argv[2]).draw()
assert not [name for name in heavy[:6] if name in sys.modules]
print(took)
"""


def test_neither_torch_nor_openmmlab(tmp_path: Path, picture: np.ndarray) -> None:
    Image.fromarray(picture).save(tmp_path / 'a.png')
    command = [sys.executable, '-c', LIGHT, str(detector(tmp_path / 'm.onnx')), str(tmp_path / 'a.png')]
    done = subprocess.run(command, capture_output=True, text=True, cwd=PROJECT_ROOT)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 2, 'seconds; a quarter of one on a machine at rest'
