"""What is written of results."""

from __future__ import annotations

import csv
import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import UserError, choice_error
from ..files import write_atomically, write_png
from ..results import Classes, Detections, Features, Result, Segmentation
from .growing import GrowingList, GrowingText, write_pieces
from .ids import ImageIds
from .predictor import Picture

#: Formats of each task's files; the first is taken where none is named.
FORMATS = {'detection': ('tables', 'coco', 'csv'), 'segmentation': ('png', 'coco', 'csv'), 'features': ('npz',)}


class Output(ABC):
    """Writes results, one after the other."""

    @abstractmethod
    def write(self, picture: Picture, result: Any) -> None:
        """Write what belongs to one picture."""

    def close(self) -> None:  # noqa: B027  for those that write nothing more
        """Write what belongs to all of them."""


class FileOfAll(Output):
    """Writes one file of all pictures, when it is closed."""

    path: Path


class Drawings(Output):
    """``pictures/NAME.png``, and of segmentors ``colour_maps/NAME.png`` with a legend."""

    def __init__(self, out_dir: Path, score_threshold: float) -> None:
        self.out_dir, self.score_threshold = out_dir, score_threshold

    def write(self, picture: Picture, result: Result) -> None:
        """Draw one picture."""
        write_png(_target(self.out_dir / 'pictures', picture, '.png'), result.draw(self.score_threshold))
        if isinstance(result, Segmentation):
            write_png(_target(self.out_dir / 'colour_maps', picture, '.png'), result.draw_map())


class SegmentationMaps(Output):
    """``segmentation_maps/NAME.png``, numbered as the annotations are."""

    def __init__(self, out_dir: Path) -> None:
        self.out_dir = out_dir

    def write(self, picture: Picture, result: Segmentation) -> None:
        """Write one map."""
        write_png(_target(self.out_dir / 'segmentation_maps', picture, '.png'), result.to_map())


class FeatureFiles(Output):
    """``features/NAME.npz`` with an array for each stage."""

    def __init__(self, out_dir: Path) -> None:
        self.out_dir = out_dir

    def write(self, picture: Picture, result: Features) -> None:
        """Write the maps of one picture."""
        arrays: dict[str, Any] = dict(zip(result.names, result.stages, strict=True))
        path = _target(self.out_dir / 'features', picture, '.npz')
        write_atomically(path, lambda scratch: np.savez(scratch, **arrays))


class Tables(FileOfAll):
    """``predictions.json``: COCO's tables ``images``, ``categories`` and ``annotations``, the latter with ``score``.

    A panoptic model has no instances to be listed, and gets no file.
    """

    def __init__(self, out_dir: Path, classes: Classes) -> None:
        self.path, self.classes = out_dir / 'predictions.json', classes
        self._images, self._annotations = GrowingList(out_dir), GrowingList(out_dir)
        self._has_instances = False

    def write(self, picture: Picture, result: Detections) -> None:
        """Collect the instances of one picture."""
        image_id, (height, width) = self._images.length, picture.pixels.shape[:2]
        self._images.append({'id': image_id, 'file_name': picture.file_name, 'height': height, 'width': width})
        for entry in result.to_coco(image_id):
            self._annotations.append({'id': self._annotations.length + 1, **entry, 'iscrowd': 0})
        self._has_instances |= result.scores is not None

    def close(self) -> None:
        """Write the tables."""
        if not self._has_instances:
            print(
                'Segments of a panoptic model have no scores: predictions.json is not written; --format csv lists them.'
            )
        else:
            pairs = zip(self.classes.numbers, self.classes.names, strict=True)
            categories = json.dumps([{'id': number, 'name': name} for number, name in pairs])
            head, middle = '{"images": ', f', "categories": {categories}, "annotations": '
            write_pieces(self.path, head, self._images, middle, self._annotations, '}')


class CocoResults(FileOfAll):
    """``results.json``: a list of entries that ``COCO.loadRes`` takes."""

    def __init__(self, out_dir: Path, ids: ImageIds, classes: Classes) -> None:
        self.path, self._ids, self._classes = out_dir / 'results.json', ids, ids.categories(classes)
        self._entries = GrowingList(out_dir)

    def write(self, picture: Picture, result: Result) -> None:
        """Collect the entries of one picture; raises ``UserError`` for one of a panoptic model."""
        if isinstance(result, Detections) and result.scores is None:
            raise UserError('--format coco: segments of a panoptic model have no scores. --format csv lists them.')
        for entry in replace(result, classes=self._classes).to_coco(self._ids[picture.known_as]):
            self._entries.append(entry)

    def close(self) -> None:
        """Write the list."""
        write_pieces(self.path, self._entries)


class Csv(FileOfAll):
    """``results.csv``: an object, or a class of a picture, in each line."""

    def __init__(self, out_dir: Path) -> None:
        self.path = out_dir / 'results.csv'
        self._text = GrowingText(out_dir)
        self._writer: csv.DictWriter | None = None

    def write(self, picture: Picture, result: Result) -> None:
        """Collect the lines of one picture."""
        for row in result.rows():
            named = {'file': picture.file_name, **row}
            self._writer = self._writer or self._begin(list(named))
            self._writer.writerow(named)

    def close(self) -> None:
        """Write the table; of nothing found, a line of names."""
        self._writer = self._writer or self._begin(['file', 'class', 'number'])
        write_pieces(self.path, self._text)

    def _begin(self, names: list[str]) -> csv.DictWriter:
        writer = csv.DictWriter(self._text.file, names)
        writer.writeheader()
        return writer


def outputs_of(
    task: str, kind: str | None, classes: Classes, ids: ImageIds, out_dir: Path, score_threshold: float | None
) -> list[Output]:
    """What is written of a task's results.

    Args:
        task: of the model.
        kind: one of :data:`FORMATS`.
        classes: of the model.
        ids: of pictures.
        out_dir: where it goes.
        score_threshold: lowest score of a drawn instance; None where nothing is drawn.

    Raises:
        UserError: the task has no such format, or the annotation file that ``ids`` come from lacks a class.
    """
    if kind not in (None, *FORMATS[task]):
        raise choice_error(f'--format for {task}', kind, FORMATS[task])
    makers = {
        'tables': lambda: Tables(out_dir, classes),
        'coco': lambda: CocoResults(out_dir, ids, classes),
        'csv': lambda: Csv(out_dir),
        'png': lambda: SegmentationMaps(out_dir),
        'npz': lambda: FeatureFiles(out_dir),
    }
    outputs: list[Output] = [] if kind is None else [makers[kind]()]
    if score_threshold is not None and task != 'features':
        outputs.append(Drawings(out_dir, score_threshold))
    return outputs


def kinds_of_files(outputs: Sequence[Output]) -> list[tuple[str, str]]:
    """Folders that get a file for each picture, with its suffix."""
    folders: dict[type[Output], list[tuple[str, str]]] = {
        Drawings: [('pictures', '.png'), ('colour_maps', '.png')],
        SegmentationMaps: [('segmentation_maps', '.png')],
        FeatureFiles: [('features', '.npz')],
    }
    return [place for output in outputs for place in folders.get(type(output), [])]


def _target(folder: Path, picture: Picture, suffix: str) -> Path:
    path = folder / picture.name
    return path.with_name(path.name + suffix)
