"""Videos in and out."""

from __future__ import annotations

import csv
import struct
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from effformer_dense.commands import cli
from effformer_dense.errors import UserError
from effformer_dense.inference import run as run_module
from effformer_dense.inference import video as video_module
from effformer_dense.inference.video import Video, VideoWriter, as_video, frames_of
from effformer_dense.runtime import load
from effformer_dense.runtime.model import Model
from tests.runtime.files import backbone, detector, segmentor

av = pytest.importorskip('av')

FRAMES = 12


def _write(path: Path, count: int = FRAMES, size: tuple[int, int] = (48, 64)) -> Path:
    """A bright bar that moves to the right over a dark ground."""
    with VideoWriter(path, Fraction(10)) as writer:
        for number in range(count):
            pixels = np.full((*size, 3), 20, np.uint8)
            pixels[:, 4 * number : 4 * number + 12] = 230
            writer.write(pixels, Fraction(number, 10))
    return path


@pytest.fixture
def film(tmp_path: Path) -> Path:
    return _write(tmp_path / 'film.mp4')


def _infer(*arguments: object) -> None:
    cli.main('infer', [str(argument) for argument in arguments])


def _refused(capsys: pytest.CaptureFixture, *arguments: object) -> str:
    with pytest.raises(SystemExit) as stop:
        _infer(*arguments)
    told = capsys.readouterr().err
    assert stop.value.code == 2 and 'Traceback' not in told
    return ' '.join(told.split())


def _read(path: Path) -> list:
    return list(frames_of(Video(str(path), path.stem), 10**6))


def test_written_and_read_again(film: Path) -> None:
    frames = _read(film)
    assert len(frames) == FRAMES and [frame.time_s for frame in frames] == [Fraction(n, 10) for n in range(FRAMES)]
    for number, frame in enumerate(frames):
        bright = np.flatnonzero(frame.pixels[24, :, 0] > 120)
        assert abs(bright[0] - 4 * number) <= 1 and frame.rate == 10


def test_odd_sides_and_times_that_are_not_even(tmp_path: Path) -> None:
    times = [Fraction(0), Fraction(1, 7), Fraction(1, 7), Fraction(2)]
    with VideoWriter(tmp_path / 'a.mp4', Fraction(25)) as writer:
        for time_s in times:
            writer.write(np.zeros((33, 47, 3), np.uint8), time_s)
    frames = _read(tmp_path / 'a.mp4')
    assert [frame.pixels.shape for frame in frames] == [(34, 48, 3)] * 4
    np.testing.assert_allclose([float(frame.time_s) for frame in frames], [float(t) for t in times], atol=1e-3)


@pytest.mark.parametrize(('turn', 'corner'), [(90, (0, -1)), (180, (-1, -1)), (270, (-1, 0))])
def test_films_of_telephones_are_turned(tmp_path: Path, turn: int, corner: tuple[int, int]) -> None:
    """By the matrix in the header of the track (ISO 14496-12): with the clock, a corner goes to the next."""
    path = tmp_path / 'a.mp4'
    pixels = np.full((48, 64, 3), 20, np.uint8)
    pixels[:16, :16] = 230  # top left
    with VideoWriter(path, Fraction(10)) as writer:
        writer.write(pixels, Fraction(0))
    data = path.read_bytes()
    upright = struct.pack('>9i', 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    cosine, sine = {90: (0, 1), 180: (-1, 0), 270: (0, -1)}[turn]
    a, b = cosine << 16, sine << 16
    track = data.index(b'tkhd')
    place = data.index(upright, track)
    turned = struct.pack('>9i', a, b, 0, -b, a, 0, 0, 0, 1 << 30)
    path.write_bytes(data[:place] + turned + data[place + len(turned) :])
    (frame,) = _read(path)
    assert frame.pixels.shape == ((48, 64, 3) if turn == 180 else (64, 48, 3))
    assert frame.pixels[corner][0] > 150
    others = {(0, 0), (0, -1), (-1, 0), (-1, -1)} - {corner}
    assert all(frame.pixels[place][0] < 90 for place in others)


def test_a_detector_on_a_film(tmp_path: Path, film: Path) -> None:
    out = tmp_path / 'out'
    _infer(detector(tmp_path / 'm.onnx'), film, '--out-dir', out)
    assert [path.name for path in out.rglob('*') if path.is_file()] == ['film.mp4']
    frames = _read(out / 'videos' / 'film.mp4')
    assert len(frames) == FRAMES and frames[5].time_s == Fraction(1, 2)
    for frame in frames:
        assert frame.pixels.shape == (480, 640, 3)
        red, _, blue = frame.pixels[100:300, 80].astype(int).mean(0)
        assert blue > red + 60, 'the left edge of the box'


def test_results_of_frames(tmp_path: Path, film: Path) -> None:
    arguments = (film, '--out-dir', tmp_path, '--no-pictures', '--frames', 5)
    _infer(detector(tmp_path / 'd.onnx'), *arguments, '--format', 'csv')
    rows = list(csv.DictReader((tmp_path / 'results.csv').open()))
    assert [row['file'] for row in rows[::2]] == [f'film/{number:06}.png' for number in range(5)]
    _infer(segmentor(tmp_path / 's.onnx'), *arguments, '--format', 'png')
    maps = sorted((tmp_path / 'segmentation_maps' / 'film').glob('*.png'))
    assert [path.name for path in maps] == [f'{number:06}.png' for number in range(5)]
    assert not (tmp_path / 'videos').exists()


def test_a_segmentor_on_a_film(tmp_path: Path, film: Path) -> None:
    _infer(segmentor(tmp_path / 'm.onnx'), film, '--out-dir', tmp_path / 'out')
    for number, frame in enumerate(_read(tmp_path / 'out' / 'videos' / 'film.mp4')):
        blue = np.flatnonzero(frame.pixels[24, :, 2].astype(int) > frame.pixels[24, :, 0].astype(int) + 40)
        assert abs(blue[0] - 4 * number) <= 2 and abs(blue[-1] - 4 * number - 11) <= 2


@pytest.mark.parametrize(
    ('source', 'name', 'live'),
    [
        ('a/film.MP4', 'film', False),
        ('0', 'camera_0', True),
        ('camera:2', 'camera_2', True),
        ('rtsp://host/path', 'stream', True),
    ],
)
def test_names_of_sources(source: str, name: str, live: bool) -> None:
    video = as_video(source)
    assert video is not None and (video.name, video.live) == (name, live)


def test_paths_come_before_cameras(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / '0').mkdir()
    monkeypatch.chdir(tmp_path)
    for source in ('0', '*.png', 'picture.jpg', 'folder/*.mp4'):
        assert as_video(source) is None


def test_what_is_refused(tmp_path: Path, film: Path, capsys: pytest.CaptureFixture) -> None:
    model, out = detector(tmp_path / 'm.onnx'), tmp_path / 'never'
    (tmp_path / 'text.mp4').write_text('no film')
    (tmp_path / 'cut.mp4').write_bytes(film.read_bytes()[:200])
    for source, more, message in (
        (tmp_path / 'gone.mp4', (), 'gone.mp4 does not exist'),
        (tmp_path / 'text.mp4', (), 'text.mp4 is no video that can be decoded'),
        (tmp_path / 'cut.mp4', (), 'cut.mp4 is no video that can be decoded'),
        ('camera:9', (), 'There is no camera 9 that can be opened'),
        ('rtsp://127.0.0.1:9/x', (), 'rtsp://127.0.0.1:9/x cannot be reached (Connection refused)'),
        (_write(tmp_path / 'low.mp4', size=(30, 64)), (), 'low.mp4: 64 x 30 px; both sides must be at least 32 px'),
        (film, ('--no-pictures',), '--no-pictures leaves nothing to be written: name a --format'),
        (film, ('--max-pixels', 100), 'frames of 64 x 48 px; up to 100 pixels are read: raise --max-pixels'),
    ):
        assert message in _refused(capsys, model, source, '--out-dir', out, *more)
    assert 'Features are not drawn' in _refused(capsys, backbone(tmp_path / 'b.onnx'), film, '--out-dir', out)
    assert not out.exists()


def test_without_pyav(
    tmp_path: Path, film: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, 'av', None)
    assert "pip install 'effformer_dense[video]'" in _refused(capsys, detector(tmp_path / 'm.onnx'), film)


def test_what_breaks_off_leaves_what_was_predicted(
    tmp_path: Path, film: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """A film stands for a stream, which breaks off after the fifth frame."""

    def broken(video: Video, max_pixels: int):
        for number, frame in enumerate(frames_of(Video(str(film), 'film'), max_pixels)):
            if number == 5:
                raise UserError('The stream cannot be decoded after frame 5: timed out.')
            yield frame

    monkeypatch.setattr(run_module, 'frames_of', broken)
    monkeypatch.setattr(run_module, 'check_video', lambda *_: None)
    model, out = detector(tmp_path / 'm.onnx'), tmp_path / 'out'
    for end in ('', '_2', '_3'):  # recordings cannot be made again
        said = _refused(capsys, model, 'rtsp://somewhere/x', '--out-dir', out, '--format', 'csv')
        assert f'after frame 5: timed out. What was predicted until then is in {out}' in said
        assert len(_read(out / 'videos' / f'stream{end}.mp4')) == 5
        rows = list(csv.DictReader((out / f'results{end}.csv').open()))
        assert len(rows) == 10 and rows[0]['file'] == f'stream{end}/000000.png'
    maps = segmentor(tmp_path / 's.onnx')
    for _ in range(2):
        _refused(capsys, maps, 'rtsp://somewhere/x', '--out-dir', tmp_path / 'maps', '--format', 'png', '--no-pictures')
    folders = tmp_path / 'maps' / 'segmentation_maps'
    assert {path.name: len(list(path.iterdir())) for path in folders.iterdir()} == {'stream': 5, 'stream_2': 5}


def test_errors_of_what_is_written_are_no_end_of_the_film(
    tmp_path: Path, film: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    model, out = detector(tmp_path / 'm.onnx'), tmp_path / 'out'
    monkeypatch.setattr(video_module, '_ENCODERS', ('nothing',))
    assert 'no encoder of nothing' in _refused(capsys, model, film, '--out-dir', out)
    assert not (out / 'videos').exists() or not list((out / 'videos').iterdir())
    monkeypatch.undo()
    _infer(model, film, '--out-dir', tmp_path, '--no-pictures', '--format', 'csv')  # which writes no film


def test_damaged_parts_of_a_film_are_left_out(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    whole = _write(tmp_path / 'long.mp4', count=60, size=(48, 320))
    with av.open(str(whole)) as container:
        places = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    data = bytearray(whole.read_bytes())
    place, size = places[len(places) // 2]
    data[place : place + size] = b'\xff' * size
    (tmp_path / 'torn.mp4').write_bytes(data)
    _infer(detector(tmp_path / 'm.onnx'), tmp_path / 'torn.mp4', '--out-dir', tmp_path / 'out')
    assert 'torn.mp4: 1 damaged parts were left out' in capsys.readouterr().out
    frames = list(frames_of(Video(str(tmp_path / 'out' / 'videos' / 'torn.mp4'), 'torn'), 10**7))
    assert 40 < len(frames) < 60


def test_a_film_is_not_overwritten_by_its_own_result(
    tmp_path: Path, film: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / 'videos').mkdir()
    own = tmp_path / 'videos' / 'film.mp4'
    own.write_bytes(film.read_bytes())
    monkeypatch.chdir(tmp_path / 'videos')
    said = _refused(capsys, detector(tmp_path / 'm.onnx'), 'film.mp4', '--out-dir', '..')
    assert 'film.mp4 would be overwritten by its own result. Name another --out-dir' in said
    assert own.read_bytes() == film.read_bytes()


def test_encoders_of_other_builds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video_module, '_ENCODERS', ('mpeg4',))
    times = [Fraction(number * 1001, 30000) for number in range(4)]
    with VideoWriter(tmp_path / 'x.mp4', Fraction(30000, 1001)) as writer:
        for time_s in times:
            writer.write(np.zeros((48, 64, 3), np.uint8), time_s)
    frames = list(frames_of(Video(str(tmp_path / 'x.mp4'), 'x'), 10**6))
    assert [frame.time_s for frame in frames] == times
    monkeypatch.setattr(video_module, '_ENCODERS', ('nothing',))
    other = VideoWriter(tmp_path / 'y.mp4', Fraction(25))
    with pytest.raises(UserError, match='no encoder of nothing'), other:
        other.write(np.zeros((48, 64, 3), np.uint8), Fraction(0))


def test_ctrl_c_ends_a_camera_and_its_film_is_whole(
    tmp_path: Path, film: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """A film stands for the camera; after the fifth frame somebody presses Ctrl-C."""

    def interrupted(video: Video, max_pixels: int):
        for number, frame in enumerate(frames_of(Video(str(film), 'film'), max_pixels)):
            if number == 5:
                raise KeyboardInterrupt
            yield frame

    monkeypatch.setattr(run_module, 'frames_of', interrupted)
    monkeypatch.setattr(run_module, 'check_video', lambda *_: None)
    _infer(detector(tmp_path / 'm.onnx'), 'camera:0', '--out-dir', tmp_path / 'out', '--format', 'csv')
    assert len(_read(tmp_path / 'out' / 'videos' / 'camera_0.mp4')) == 5
    assert len(list(csv.DictReader((tmp_path / 'out' / 'results.csv').open()))) == 10
    monkeypatch.setattr(run_module, 'as_video', lambda source: Video(source, 'film'))
    with pytest.raises(SystemExit) as stop:
        _infer(detector(tmp_path / 'm.onnx'), film, '--out-dir', tmp_path / 'cut', '--format', 'csv')
    assert stop.value.code == 130
    assert f'What was predicted until then is in {tmp_path / "cut"}' in capsys.readouterr().err
    assert len(_read(tmp_path / 'cut' / 'videos' / 'film.mp4')) == 5
    assert len(list(csv.DictReader((tmp_path / 'cut' / 'results.csv').open()))) == 10


@pytest.mark.parametrize('batch', [1, 5, 12, 20])
def test_frames_come_in_batches(tmp_path: Path, film: Path, monkeypatch: pytest.MonkeyPatch, batch: int) -> None:
    sizes: list[int] = []
    predict = Model.predict
    monkeypatch.setattr(Model, 'predict', lambda self, group: sizes.append(len(group)) or predict(self, group))
    video, model = Video(str(film), 'film'), load(detector(tmp_path / 'm.onnx'))
    predicted = list(run_module._predicted(model, video, 10**6, batch))
    assert [picture.file_name for _, picture, _ in predicted] == [f'film/{n:06}.png' for n in range(FRAMES)]
    assert sizes == [batch] * (FRAMES // batch) + [FRAMES % batch] * (FRAMES % batch > 0)
    for frame, picture, result in predicted:
        assert picture.pixels is frame.pixels is result.picture


def test_options_of_pictures_are_refused(tmp_path: Path, film: Path, capsys: pytest.CaptureFixture) -> None:
    assert '--skip-bad is for pictures' in _refused(capsys, detector(tmp_path / 'm.onnx'), film, '--skip-bad')
