"""Videos, cameras and streams, by PyAV."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from ..data.finding import check_sides
from ..errors import MissingFileError, MissingPackageError, UserError

SUFFIXES = (
    *('.mp4', '.m4v', '.mov', '.avi', '.mkv', '.webm', '.mpg', '.mpeg', '.ts', '.mts', '.m2ts', '.3gp'),
    *('.wmv', '.flv', '.gif'),
)
_CAMERA = re.compile(r'(?:camera:)?(\d+)')
_STREAM = re.compile(r'(?:rtsps?|rtmp|https?|udp|tcp|srt)://.+')
#: Programs by which systems hand out their cameras, and how a camera's number is written for them.
_CAMERAS = {'linux': ('v4l2', '/dev/video{}'), 'darwin': ('avfoundation', '{}'), 'win32': ('vfwcap', '{}')}
_TIMEOUT_S = 10.0
#: Until a camera that has no frame is asked again.
_WAIT_S = 0.005
_FALLBACK_RATE = 25
#: In this order; which there are depends on how PyAV was built.
_ENCODERS = ('libx264', 'libopenh264', 'mpeg4')


@dataclass(frozen=True)
class Video:
    """A source of frames.

    Attributes:
        source: as the user named it.
        name: of what is written of it.
        live: a camera or a stream, which has no end of its own.
    """

    source: str
    name: str
    live: bool = False


@dataclass(frozen=True, eq=False)
class Frame:
    """One frame.

    Attributes:
        pixels: (H, W, 3) uint8, RGB, upright.
        time_s: since the first frame.
        rate: frames a second that the video has on average, or the camera says that it takes.
    """

    pixels: np.ndarray
    time_s: Fraction
    rate: Fraction


def as_video(source: str) -> Video | None:
    """The video, camera or stream that a name stands for; None if it is neither. A path that exists comes first."""
    path, camera = Path(source), _CAMERA.fullmatch(source)
    if path.suffix.lower() in SUFFIXES and '://' not in source and not path.is_dir() and '*' not in source:
        return Video(source, path.stem)
    if path.exists():
        return None
    if camera is not None:
        return Video(source, f'camera_{camera[1]}', live=True)
    return Video(source, 'stream', live=True) if _STREAM.fullmatch(source) else None


def frames_of(video: Video, max_pixels: int) -> Generator[Frame, None, None]:
    """Frames of a video, one after the other.

    Raises:
        UserError: PyAV is not installed; no such file or camera; nothing that can be decoded; or frames of more pixels
            than allowed.
    """
    av = _pyav(video)
    with _opened(video) as container:
        if not container.streams.video:
            raise UserError(f'{video.source} has no pictures in it, only sound or data.')
        stream = container.streams.video[0]
        stream.thread_type = 'AUTO'
        width, height = stream.codec_context.width, stream.codec_context.height
        check_sides(video.source, width, height)
        if width * height > max_pixels:
            raise UserError(
                f'{video.source}: frames of {width} x {height} px; up to {max_pixels:,} pixels are read: '
                'raise --max-pixels'
            )
        rate, start, count = Fraction(stream.average_rate or _FALLBACK_RATE), None, 0
        try:
            for frame in _decoded(video, container, stream):
                timed = frame.pts is not None and frame.time_base is not None
                time_s = frame.pts * frame.time_base if timed else count / rate
                start = time_s if start is None else start
                yield Frame(_upright(frame), time_s - start, rate)
                count += 1
        except av.FFmpegError as error:
            raise UserError(f'{video.source} cannot be decoded after frame {count}: {error.strerror}.') from error
    if count == 0:
        raise UserError(f'{video.source} has no frame that can be decoded.')


def _decoded(video: Video, container: Any, stream: Any) -> Iterator[Any]:
    """Frames of a stream. Damaged parts are left out, as players do, and cameras are asked again that have none yet."""
    av = _pyav(video)
    damaged = 0
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except av.BlockingIOError:
            time.sleep(_WAIT_S)
            packets = container.demux(stream)
            continue
        if packet is None:
            break
        try:
            yield from packet.decode()
        except av.InvalidDataError:
            damaged += 1
    if damaged:
        with suppress(av.FFmpegError):  # what the decoder still holds
            yield from stream.codec_context.decode(None)
        print(f'{video.source}: {damaged} damaged parts were left out.')


def check_video(video: Video, max_pixels: int) -> None:
    """Decode the first frame.

    Raises:
        UserError: see :func:`frames_of`.
    """
    with closing(frames_of(video, max_pixels)) as frames:
        next(frames)


class VideoWriter:
    """Writes an MP4 file; a context, at whose end it is complete.

    Args:
        path: of the file.
        rate: frames a second.
    """

    #: Clock ticks in a second: common rates of videos are whole numbers of them. MPEG-4 counts no more than 65,535.
    TICKS, MPEG4_TICKS = 90_000, 60_000

    def __init__(self, path: Path, rate: Fraction) -> None:
        import av

        self._av = av
        self._rate = rate
        self._container = av.open(str(path), 'w', format='mp4')
        self._stream: Any = None
        self._last = -1
        self._ticks = self.TICKS

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(self, *_: object) -> None:
        if self._stream is not None:
            for packet in self._stream.encode():
                self._container.mux(packet)
        self._container.close()

    def write(self, pixels: np.ndarray, time_s: Fraction) -> None:
        """Add a frame.

        Args:
            pixels: (H, W, 3) uint8, RGB, of one size for all frames. An odd side gets another row or column.
            time_s: when it is shown; after the frame before.
        """
        height, width = (side % 2 for side in pixels.shape[:2])
        pixels = np.pad(pixels, ((0, height), (0, width), (0, 0)), mode='edge')
        if self._stream is None:
            self._stream = self._opened(*pixels.shape[:2])
        frame = self._av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format='rgb24')
        self._last = max(self._last + 1, round(time_s * self._ticks))
        frame.pts, frame.time_base = self._last, Fraction(1, self._ticks)
        for packet in self._stream.encode(frame.reformat(format='yuv420p')):
            self._container.mux(packet)

    def _opened(self, height: int, width: int) -> Any:
        name = next((name for name in _ENCODERS if name in self._av.codecs_available), None)
        if name is None:
            raise UserError(f'PyAV here has no encoder of {", ".join(_ENCODERS)}: pip install av. Or: --no-pictures.')
        self._ticks = self.MPEG4_TICKS if name == 'mpeg4' else self.TICKS
        stream: Any = self._container.add_stream(name, rate=self._rate)
        stream.width, stream.height, stream.pix_fmt = width, height, 'yuv420p'
        stream.codec_context.time_base = Fraction(1, self._ticks)
        if name == 'libx264':
            stream.options = {'crf': '20', 'preset': 'veryfast'}
        else:
            stream.bit_rate = round(0.2 * width * height * float(self._rate))
        return stream


def _upright(frame: Any) -> np.ndarray:
    """Pixels of a frame, turned as the file says; telephones turn films by a note."""
    pixels = frame.to_ndarray(format='rgb24')
    turns = round(getattr(frame, 'rotation', 0) / 90) % 4  # against the clock
    return np.ascontiguousarray(np.rot90(pixels, turns)) if turns else pixels


@contextmanager
def _opened(video: Video) -> Iterator[Any]:
    av = _pyav(video)
    open_it: Callable[[], Any] = lambda: av.open(video.source, timeout=_TIMEOUT_S if video.live else None)  # noqa: E731
    camera = _CAMERA.fullmatch(video.source) if video.live else None
    if camera is not None:
        if sys.platform not in _CAMERAS:
            raise UserError(f'Cameras of {sys.platform} are not known here. Name a stream (rtsp://...) or a file.')
        kind, place = _CAMERAS[sys.platform]
        options = {'framerate': '30'} if sys.platform == 'darwin' else {}  # the usual one, which is not its default
        open_it = lambda: av.open(place.format(camera[1]), format=kind, options=options)  # noqa: E731
    elif not video.live and not Path(video.source).is_file():
        raise MissingFileError(f'{video.source} does not exist.')
    try:
        container = open_it()
    except (av.FFmpegError, OSError, ValueError) as error:
        reason = getattr(error, 'strerror', None) or error
        if camera is not None:
            raise UserError(
                f'There is no camera {camera[1]} that can be opened ({reason}). Is it connected, not in use by another '
                'program, and yours to use?'
            ) from error
        what = 'cannot be reached' if video.live else 'is no video that can be decoded'
        raise UserError(f'{video.source} {what} ({reason}).') from error
    with container:
        yield container


def _pyav(video: Video) -> Any:
    try:
        import av
    except ImportError as error:
        raise MissingPackageError(
            f'{video.source}: videos and cameras are read by PyAV, which is not installed: '
            "pip install 'effformer_dense[video]'"
        ) from error
    return av
