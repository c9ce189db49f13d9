"""From a picture to a result, by an exported file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import UserError, choice_error
from ..options import MAX_PIXELS
from ..results import Classes, Detections, Features, Segmentation
from ..results.masks import paste_masks
from ..variants import MIN_SIDE_PX
from .metadata import TASKS, Metadata
from .reading import as_pixels, read_pixels
from .resizing import labels_of, resize, resize_labels
from .sessions import Arrays, Session, open_session

Found = Detections | Segmentation | Features
#: A graph holds a number for each class of each pixel that it is asked for: 2 GiB of them at most.
_MOST_LOGITS = 1 << 29
#: Outputs that a task cannot do without.
_NEEDED = {'detection': ('boxes', 'labels', 'scores'), 'segmentation': (), 'features': ()}


@dataclass(frozen=True)
class Prepared:
    """A picture, ready for the network.

    Attributes:
        picture: (H, W, 3) uint8, RGB.
        image: (1, 3, H', W') float32, the network's input.
        content: height and width of the picture within ``image``, from its upper left corner.
    """

    picture: np.ndarray
    image: np.ndarray
    content: tuple[int, int]


def load(path: str | Path, threads: int | None = None, task: str | None = None) -> Model:
    """Open an exported model.

    Args:
        path: an ONNX file (``.onnx``) or one of OpenVINO (``.xml``, with the ``.bin`` beside it).
        threads: that it computes with; None for one per core that this process may use.
        task: that it must be of: 'detection', 'segmentation' or 'features'.

    Raises:
        UserError: see :func:`.sessions.open_session`; or it is of another task.
    """
    session = open_session(Path(path), threads)
    metadata = session.metadata
    if metadata.task not in TASKS:
        raise choice_error(f'{path}: its task', metadata.task, TASKS)
    if task is not None and metadata.task != task:
        raise UserError(f'{path} is for {metadata.task}, and a model for {task} is wanted.')
    wanted = (*metadata.outputs, *_NEEDED[metadata.task])
    if 'image' not in session.inputs or not set(wanted) <= set(session.outputs) or not wanted:
        raise UserError(
            f'{path} does not hold what its metadata say: inputs {", ".join(session.inputs)}, outputs '
            f'{", ".join(session.outputs)}; expected: image, and {", ".join(wanted)}. Export it again.'
        )
    return Model(session)


class Model:
    """An exported model: a callable from a picture to a result.

    Attributes:
        metadata: what the file says about itself.
        task: 'detection', 'segmentation' or 'features'.
        classes: names, colours and numbers of its classes.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self.metadata: Metadata = session.metadata
        self.task = session.metadata.task
        self.classes = Classes(self.metadata.classes, self.metadata.palette, self.metadata.numbers)

    def __call__(self, picture: Any, max_pixels: int = MAX_PIXELS) -> Found:
        """Run it on a picture.

        Args:
            picture: a path, a Pillow image, or an array (H, W, 3) uint8 in RGB.
            max_pixels: largest picture that is read.

        Returns:
            :class:`Detections`, :class:`Segmentation` or :class:`Features`.

        Raises:
            UserError: the picture cannot be read, is of another form, or is too small.
        """
        return self._run(self.prepare(as_pixels(picture, max_pixels)))

    def read(self, path: Path, max_pixels: int = MAX_PIXELS) -> np.ndarray:
        """Picture as (H, W, 3) uint8, RGB.

        Raises:
            UserError: see :func:`.reading.read_pixels`; or resizing leaves less than 32 px of a side.
        """
        pixels = read_pixels(path, max_pixels)
        self._content(pixels.shape, path)
        return pixels

    def prepare(self, pixels: np.ndarray, path: Path | None = None) -> Prepared:
        """Bring a picture to the size that the network takes; this may happen in another thread.

        A file for one size gets the picture as large as it fits, its ratio kept, and the mean colour around it.

        Args:
            pixels: (H, W, 3) uint8, RGB.
            path: the picture's file, for messages.

        Raises:
            UserError: resizing leaves less than 32 px of a side.
        """
        content = self._content(pixels.shape, path or 'The picture')
        image = np.empty((1, 3, *(self.metadata.size or content)), np.float32)
        image[:] = np.array(self.metadata.mean, np.float32)[:, None, None]
        image[0, :, : content[0], : content[1]] = resize(pixels, *content).transpose(2, 0, 1)
        return Prepared(pixels, image, content)

    def predict(self, prepared: Sequence[Prepared]) -> list[Found]:
        """Run the network on what :meth:`prepare` has made."""
        return [self._run(one) for one in prepared]

    def _content(self, shape: tuple[int, ...], name: object) -> tuple[int, int]:
        """Height and width that a picture has within the network's input."""
        height, width = shape[:2]
        if self.metadata.size is not None:
            factor = min(self.metadata.size[0] / height, self.metadata.size[1] / width)
            return max(1, int(height * factor + 0.5)), max(1, int(width * factor + 0.5))
        content = self.metadata.resizing.size(height, width)
        if min(content) < MIN_SIDE_PX:
            raise UserError(
                f'{name}: the model makes {content[1]} x {content[0]} px of its {width} x {height} px; both sides must '
                f'keep {MIN_SIDE_PX} px. Cut it into parts, or remove it.'
            )
        return content

    def _run(self, prepared: Prepared) -> Found:
        inputs = {'image': prepared.image}
        if 'size' in self._session.inputs:
            inputs['size'] = np.array(self._asked(prepared.picture.shape[:2]), np.int64)
        outputs = self._session.run(inputs)
        if self.task == 'features':
            names = tuple(self.metadata.outputs)
            return Features(prepared.picture, tuple(outputs[name][0] for name in names), names)
        return (self._detections if self.task == 'detection' else self._segmentation)(prepared, outputs)

    def _asked(self, size: tuple[int, int]) -> tuple[int, int]:
        """Height and width to ask a segmentation file for: the picture's, or less, where memory would be short."""
        share = min(1.0, (_MOST_LOGITS / (max(1, len(self.classes.names)) * size[0] * size[1])) ** 0.5)
        return max(1, int(size[0] * share)), max(1, int(size[1] * share))

    def _detections(self, prepared: Prepared, outputs: Arrays) -> Detections:
        height, width = prepared.picture.shape[:2]
        content = np.array(prepared.content[::-1] * 2, np.float32)
        boxes, labels, scores = (outputs[name] for name in _NEEDED['detection'])
        clipped = boxes.clip(0, content)
        inside = (clipped[:, 2:] > clipped[:, :2]).all(axis=1) | (self.metadata.size is None)
        scale = content / np.array((width, height) * 2, np.float32)
        masks = None
        if 'masks' in outputs:
            threshold = self.metadata.mask_threshold
            masks = paste_masks(outputs['masks'][inside], boxes[inside] / scale, height, width, threshold)
        found = (clipped / scale)[inside], labels[inside], scores[inside]
        return Detections(prepared.picture, self.classes, *found, masks)

    def _segmentation(self, prepared: Prepared, outputs: Arrays) -> Segmentation:
        size = prepared.picture.shape[:2]
        within = slice(None), *((slice(None),) * 2 if self.metadata.size is None else map(slice, prepared.content))
        if 'labels' in outputs:
            labels = outputs['labels'][within]
            labels = resize_labels(labels[0], *size).astype(np.uint8)
        else:
            logits = outputs['logits'][0][within]
            if len(logits) == 1:
                raise UserError('The model gives one logit for each pixel, and no threshold: export it with labels.')
            labels = labels_of(logits, *size)
        return Segmentation(prepared.picture, self.classes, labels)
