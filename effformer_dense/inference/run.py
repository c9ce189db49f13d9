"""Inference from what the user named to files of results."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, closing, suppress
from itertools import chain, count, islice
from pathlib import Path
from typing import Any

from ..data.finding import find_pictures
from ..errors import UserError
from ..files import check_output_dir, write_atomically
from ..options import InferOptions
from ..results import Result
from .ahead import ahead
from .ids import ImageIds
from .outputs import FORMATS, Output, outputs_of
from .pictures import (
    check_not_overwritten,
    file_name,
    named,
    predict_pictures,
    tell_of_earlier_results,
    usable,
    without_results,
)
from .predictor import Picture, Predictor
from .progress import track
from .video import Frame, Video, VideoWriter, as_video, check_video, frames_of

Source = list[Path] | Video
Predicted = Generator[tuple[Frame, Picture, Result], None, None]


def find_source(options: InferOptions, max_pixels: int) -> Source:
    """Pictures, or the video or camera, that the user named.

    Raises:
        UserError: there is nothing there; or a video or camera gives no frame, or is named with options of pictures.
    """
    video = as_video(options.pictures)
    if video is None:
        if options.frames is not None:
            raise UserError(f'--frames is for videos and cameras; {options.pictures} names pictures.')
        return find_pictures(options.pictures)
    if options.no_pictures and options.format is None:
        raise UserError('Of a video, --no-pictures leaves nothing to be written: name a --format, such as csv.')
    check_video(video, max_pixels)
    return video


def run(predictor: Predictor, source: Source, options: InferOptions, max_pixels: int) -> Path:
    """Predict and write.

    Returns:
        The folder written to.

    Raises:
        UserError: pictures that cannot be used (unless they are skipped), results that cannot be written, a format that
            the task has not, or pictures without ids that the format needs.
    """
    check_output_dir(options.out_dir)
    source = source if isinstance(source, Video) else without_results(source, options)
    ids = ImageIds(options.ids)
    is_video = isinstance(source, Video)
    kind = options.format if options.format is not None or is_video else FORMATS[predictor.task][0]
    drawn = None if options.no_pictures or is_video else options.score_threshold
    outputs = outputs_of(predictor.task, kind, predictor.classes, ids, options.out_dir, drawn)
    if isinstance(source, Video):
        if predictor.task == 'features':
            raise UserError('Features are not drawn into videos. Name pictures.')
        _predict_video(predictor, source, outputs, options, max_pixels)
        return options.out_dir
    names = named(usable(source, predictor, max_pixels, options.skip_bad))
    if kind == 'coco':
        ids.check(file_name(path, name) for path, name in names.items())
    check_not_overwritten(names, options.out_dir, outputs)
    predict_pictures(names, predictor, outputs, max_pixels, options.batch)
    tell_of_earlier_results(names, options.out_dir, outputs)
    return options.out_dir


def _predict_video(
    predictor: Predictor, video: Video, outputs: Sequence[Output], options: InferOptions, max_pixels: int
) -> None:
    """Predict frame by frame; write ``videos/NAME.mp4`` and what else is asked for. Ctrl-C ends a camera.

    Raises:
        UserError: the film would take the place of its source; or frames come to an end by an error, after which what
            was predicted until then is there.
    """
    film = None if options.no_pictures else film_place(video, options.out_dir)
    predicted = _predicted(predictor, video, max_pixels)
    first = next(predicted)  # before anything is made for it
    ended: list[UserError] = []
    following = _until_it_breaks(predicted, ended)
    frames = track(islice(chain([first], following), options.frames), f'Predicting {video.name}', options.frames)

    def write(scratch: Path | None) -> None:
        writer = None
        with ExitStack() as stack, closing(predicted), suppress(*((KeyboardInterrupt,) if video.live else ())):
            for frame, picture, result in frames:
                if scratch is not None:
                    writer = writer or stack.enter_context(VideoWriter(scratch, frame.rate))
                    writer.write(result.draw(options.score_threshold), frame.time_s)
                for output in outputs:
                    output.write(picture, result)

    if film is None:
        write(None)
    else:
        write_atomically(film, write)
    for output in outputs:
        output.close()
    if ended:
        raise UserError(f'{ended[0]} What was predicted until then is in {options.out_dir}.') from ended[0]


def _until_it_breaks(frames: Predicted, ended: list[UserError]) -> Predicted:
    """Frames after the first, until their source breaks off, which is taken note of."""
    try:
        yield from frames
    except UserError as error:
        ended.append(error)


def film_place(video: Video, out_dir: Path) -> Path:
    """Where the film is written. Recordings of cameras and streams are numbered: they cannot be made again.

    Raises:
        UserError: that is where the video itself is.
    """
    folder = out_dir / 'videos'
    place = folder / f'{video.name}.mp4'
    if video.live:
        numbered = (folder / f'{video.name}_{number}.mp4' for number in count(2))
        return next(one for one in chain([place], numbered) if not one.exists())
    if place.exists() and place.resolve() == Path(video.source).resolve():
        raise UserError(f'{video.source} would be overwritten by its own result. Name another --out-dir.')
    return place


def _predicted(predictor: Predictor, video: Video, max_pixels: int) -> Predicted:
    """Frames with their results; the next ones are decoded meanwhile."""
    frames = enumerate(frames_of(video, max_pixels))

    def load() -> tuple[Frame, Picture, Any] | None:
        number, frame = next(frames, (0, None))
        if frame is None:
            return None
        name = Path(video.name, f'{number:06}')
        picture = Picture(frame.pixels, name, f'{name.as_posix()}.png')
        return frame, picture, predictor.prepare(frame.pixels)

    jobs: Iterator[Callable[[], tuple[Frame, Picture, Any] | None]] = iter(lambda: load, None)
    with closing(ahead(jobs, threads=1)) as loaded:
        for one in loaded:
            if one is None:
                return
            frame, picture, prepared = one
            (result,) = predictor.predict([prepared])
            assert isinstance(result, Result)  # features are refused before
            yield frame, picture, result
