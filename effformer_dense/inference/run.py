"""Inference from what the user named to files of results."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from itertools import chain, count, islice
from pathlib import Path
from typing import Any, NoReturn

from ..data.finding import find_pictures
from ..errors import UserError
from ..files import check_output_dir, write_atomically
from ..options import InferOptions
from ..results import Result
from .ahead import ahead
from .ids import ImageIds
from .outputs import FORMATS, FileOfAll, Output, kinds_of_files, outputs_of
from .pictures import (
    check_not_overwritten,
    named,
    named_folder,
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
    if options.skip_bad:
        raise UserError('--skip-bad is for pictures: damaged parts of videos are left out in any case.')
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
    names = named(usable(source, predictor, max_pixels, options.skip_bad), named_folder(options.pictures))
    if kind == 'coco':
        ids.check(path.absolute().as_posix() for path in names)
    check_not_overwritten(names, options.out_dir, outputs)
    predict_pictures(names, predictor, outputs, max_pixels, options.batch)
    tell_of_earlier_results(names, options.out_dir, outputs)
    return options.out_dir


def _predict_video(
    predictor: Predictor, video: Video, outputs: Sequence[Output], options: InferOptions, max_pixels: int
) -> None:
    """Predict the frames; write ``videos/NAME.mp4`` and what else is asked for. Ctrl-C ends a camera.

    Raises:
        UserError: the film would take the place of its source; or frames come to an end by an error. After that, or
            after Ctrl-C or any other error of reading and predicting, what was predicted until then is there.
    """
    if video.live:
        video = as_recording(video, outputs, options.out_dir)
    film = None if options.no_pictures else film_place(video, options.out_dir)
    predicted = _predicted(predictor, video, max_pixels, options.batch)
    first = next(predicted)  # before anything is made for it
    ended: list[BaseException] = []
    following = _until_it_breaks(predicted, ended)
    frames = track(islice(chain([first], following), options.frames), f'Predicting {video.name}', options.frames)

    def write(scratch: Path | None) -> None:
        writer = None
        with ExitStack() as stack, closing(predicted), _until_interrupted(ended):
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
    if ended and not (video.live and isinstance(ended[0], KeyboardInterrupt)):
        _tell_of_the_end(ended[0], options.out_dir)


def _tell_of_the_end(error: BaseException, out_dir: Path) -> NoReturn:
    kept = f'What was predicted until then is in {out_dir}.'
    if isinstance(error, UserError):
        raise UserError(f'{error} {kept}') from error
    print(kept, file=sys.stderr)
    raise error


def _until_it_breaks(frames: Predicted, ended: list[BaseException]) -> Predicted:
    """Frames after the first, until their source or the network breaks off, which is taken note of."""
    try:
        yield from frames
    except Exception as error:
        ended.append(error)


@contextmanager
def _until_interrupted(ended: list[BaseException]) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt as error:
        ended.append(error)


def as_recording(video: Video, outputs: Sequence[Output], out_dir: Path) -> Video:
    """A camera or stream with a name of its own, where results of an earlier recording are: it cannot be made again.

    Files of all frames get the same number.
    """
    files = [output for output in outputs if isinstance(output, FileOfAll)]
    folders = [out_dir / kind for kind, _ in kinds_of_files(outputs)]

    def places(end: str) -> list[Path]:
        own = [out_dir / 'videos' / f'{video.name}{end}.mp4', *(folder / f'{video.name}{end}' for folder in folders)]
        return [*own, *(output.path.with_stem(output.path.stem + end) for output in files)]

    ends = chain([''], (f'_{number}' for number in count(2)))
    end = next(end for end in ends if not any(place.exists() for place in places(end)))
    for output in files:
        output.path = output.path.with_stem(output.path.stem + end)
    return replace(video, name=video.name + end)


def film_place(video: Video, out_dir: Path) -> Path:
    """Where the film is written.

    Raises:
        UserError: that is where the video itself is.
    """
    place = out_dir / 'videos' / f'{video.name}.mp4'
    if not video.live and place.exists() and place.resolve() == Path(video.source).resolve():
        raise UserError(f'{video.source} would be overwritten by its own result. Name another --out-dir.')
    return place


def _predicted(predictor: Predictor, video: Video, max_pixels: int, batch: int) -> Predicted:
    """Frames with their results, ``batch`` of them at once; the next ones are decoded meanwhile."""
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
        whole = iter(lambda: next(loaded), None)
        while group := list(islice(whole, batch)):
            results = predictor.predict([prepared for _, _, prepared in group])
            for (frame, picture, _), result in zip(group, results, strict=True):
                assert isinstance(result, Result)  # features are refused before
                yield frame, picture, result
