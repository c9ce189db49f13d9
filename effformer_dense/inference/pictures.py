"""Pictures in files: which can be used, what their results are called, and their prediction."""

from __future__ import annotations

import glob
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import Any

from ..errors import UserError
from ..options import InferOptions
from .ahead import ahead
from .outputs import Output, kinds_of_files
from .predictor import Picture, Predictor
from .progress import track

#: Threads that decode.
_THREADS = 2

Loaded = tuple[Picture, Any]


def without_results(paths: Sequence[Path], options: InferOptions) -> list[Path]:
    """Pictures of a folder or a pattern without those below ``out_dir``, which an earlier run may have left.

    They stay where the folder or pattern names ``out_dir`` itself, or what is in it.

    Raises:
        UserError: nothing is left.
    """
    folder, out_dir = named_folder(options.pictures).resolve(), options.out_dir.resolve()
    if folder == out_dir or not out_dir.is_relative_to(folder):
        return list(paths)
    kept = [path for path in paths if not path.resolve().is_relative_to(out_dir)]
    if len(kept) < len(paths):
        print(f'Left out: {len(paths) - len(kept)} pictures below {options.out_dir}, where results are written.')
    if not kept:
        raise UserError(f'All pictures of {options.pictures} are below {options.out_dir}. Name another --out-dir.')
    return kept


def usable(paths: Sequence[Path], predictor: Predictor, max_pixels: int, skip_bad: bool) -> list[Path]:
    """Pictures that can be read; each of them is, so that nothing surprises in the middle of long work.

    Raises:
        UserError: some cannot, unless they are to be skipped, or none can.
    """
    jobs = (partial(_reason, path, predictor, max_pixels) for path in paths)
    checked = track(ahead(jobs, _THREADS), 'Checking pictures', len(paths), transient=True)
    reasons = dict(zip(paths, checked, strict=True))
    bad = [reason for reason in reasons.values() if reason is not None]
    if bad and not skip_bad:
        lines = '\n  '.join(bad[:10])
        raise UserError(f'{len(bad)} of {len(paths)} pictures cannot be used:\n  {lines}\nLeave them out: --skip-bad.')
    for line in bad:
        print(f'Skipped {line}')
    if len(bad) == len(paths):
        raise UserError(f'None of the {len(paths)} pictures can be used.')
    return [path for path, reason in reasons.items() if reason is None]


def named_folder(source: str) -> Path:
    """The folder that the user named: itself, or what a pattern begins with; of a picture, where it lies."""
    path = Path(source)
    if path.exists():
        return path if path.is_dir() else path.parent
    fixed = takewhile(lambda part: not glob.has_magic(part), path.parts[:-1])
    return Path(*fixed)


def named(paths: Sequence[Path], folder: Path) -> dict[Path, Path]:
    """Relative name of each picture's results, without suffix, of which no two are the same.

    Folders below ``folder`` are kept, whatever else is in it: pictures have the same names in every run. A picture
    keeps its suffix where another has its stem, or is called by it.
    """
    root = folder.absolute()
    stems = Counter(path.absolute().with_suffix('') for path in paths)
    files = {path.absolute() for path in paths}

    def name(path: Path) -> Path:
        stem = path.absolute().with_suffix('')
        return (stem if stems[stem] == 1 and stem not in files else path.absolute()).relative_to(root)

    return {path: name(path) for path in paths}


def file_name(path: Path, name: Path) -> str:
    """What tables call a picture: its file below the folder that was named."""
    return (name.parent / path.name).as_posix()


def check_not_overwritten(names: dict[Path, Path], out_dir: Path, outputs: Sequence[Output]) -> None:
    """Raises ``UserError`` if a result would take the place of a picture."""
    kinds = kinds_of_files(outputs)
    folder = out_dir.resolve()
    places = {folder / kind / f'{name}{suffix}' for kind, suffix in kinds for name in names.values()}
    # A link would be replaced itself, not what it leads to.
    overwritten = [path for path in names if places & {path.resolve(), path.parent.resolve() / path.name}]
    if overwritten:
        raise UserError(f'{overwritten[0]} would be overwritten by its own result. Name another --out-dir.')


def tell_of_earlier_results(names: dict[Path, Path], out_dir: Path, outputs: Sequence[Output]) -> None:
    """Say where results of other pictures lie beside the new ones, which whoever reads a whole folder would take in."""
    for kind, suffix in kinds_of_files(outputs):
        folder = out_dir / kind
        written = {folder / f'{name}{suffix}' for name in names.values()}
        others = sum(path not in written for path in folder.rglob(f'*{suffix}'))
        if others:
            print(f'{folder} holds {others} results of earlier runs as well. A new --out-dir keeps runs apart.')


def predict_pictures(
    names: dict[Path, Path], predictor: Predictor, outputs: Sequence[Output], max_pixels: int, batch: int
) -> None:
    """Predict pictures and write their results; the next ones are decoded, and the last ones written, meanwhile.

    Args:
        names: of the results of each picture, see :func:`named`.
        predictor: the network.
        outputs: what is written; they are closed.
        max_pixels: largest picture that is read.
        batch: pictures of one size, one after the other, that the network gets at once.
    """
    jobs = (partial(_load, path, name, predictor, max_pixels) for path, name in names.items())
    loaded = track(ahead(jobs, _THREADS), 'Predicting', len(names))
    writes = (partial(_write, *predicted, outputs) for predicted in _predicted(_batches(loaded, batch), predictor))
    written = 0
    try:
        for _ in ahead(writes, threads=1, most=1):  # a result holds a mask of the whole picture for each object
            written += 1
    finally:
        if written:  # what was predicted before an error, or Ctrl-C, is kept
            for output in outputs:
                output.close()


def _predicted(groups: Iterable[list[Loaded]], predictor: Predictor) -> Iterator[tuple[Picture, Any]]:
    for group in groups:
        results = predictor.predict([prepared for _, prepared in group])
        yield from zip((picture for picture, _ in group), results, strict=True)


def _write(picture: Picture, result: Any, outputs: Sequence[Output]) -> None:
    for output in outputs:
        output.write(picture, result)


def _batches(loaded: Iterable[Loaded], most: int) -> Iterator[list[Loaded]]:
    """Neighbours of one size, at most so many."""
    batch: list[Loaded] = []
    for one in loaded:
        if batch and (len(batch) == most or one[0].pixels.shape != batch[0][0].pixels.shape):
            yield batch
            batch = []
        batch.append(one)
    if batch:
        yield batch


def _load(path: Path, name: Path, predictor: Predictor, max_pixels: int) -> Loaded:
    picture = Picture(predictor.read(path, max_pixels), name, file_name(path, name), path)
    return picture, predictor.prepare(picture.pixels, path)


def _reason(path: Path, predictor: Predictor, max_pixels: int) -> str | None:
    try:
        predictor.read(path, max_pixels)
    except ValueError as error:
        return str(error)
    return None
