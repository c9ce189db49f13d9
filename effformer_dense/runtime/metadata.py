"""What an exported file says about itself."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import UserError

#: Key of the metadata in files that have room for named texts.
KEY = 'effformer_dense'
#: Raised when a field changes its meaning; new fields with a default leave it.
VERSION = 1

TASKS = ('features', 'segmentation', 'detection')


@dataclass(frozen=True)
class Resizing:
    """How a picture is brought to the size that a network is run at, before it goes into the file.

    Attributes:
        scale: (width, height) of mmcv's ``Resize``; None: pictures stay as they are.
        keep_ratio: the longer side is at most the larger number of ``scale``, the shorter at most the smaller.
    """

    scale: tuple[int, int] | None = None
    keep_ratio: bool = True

    def size(self, height: int, width: int) -> tuple[int, int]:
        """(height, width) of a picture after resizing, in px."""
        if self.scale is None:
            return height, width
        if not self.keep_ratio:
            return self.scale[1], self.scale[0]
        factor = min(max(self.scale) / max(height, width), min(self.scale) / min(height, width))
        return int(height * factor + 0.5), int(width * factor + 0.5)


@dataclass(frozen=True)
class Metadata:
    """What whoever runs an exported file has to know.

    The input ``image`` is (1, 3, H, W) float32, RGB, 0 to 255; normalising is the graph's. The outputs by task:

    * ``features``: ``stage1`` to ``stage4``, (1, C, H/s, W/s) for s = 4, 8, 16, 32, sides rounded up.
    * ``segmentation``: ``labels`` (1, H', W') uint8, or ``logits`` (1, classes, H', W') float32. A file for any size
      has a second input, ``size``: two int64, H' and W', so that labels come at the size of the original picture.
    * ``detection``: ``boxes`` (N, 4) float32, x1, y1, x2, y2 in px of ``image``; ``labels`` (N,) int64; ``scores`` (N,)
      float32, falling; and with a mask head ``masks`` (N, 28, 28) float32, probabilities within the box.

    Attributes:
        task: one of :data:`TASKS`.
        outputs: names, in the order of the graph.
        classes: their names.
        palette: a colour (R, G, B) for each class.
        size: (H, W) of a file for one size; None: any from 32 px.
        resizing: from a picture to the network's input.
        mean: that the graph subtracts from R, G, B.
        std: that it divides by.
        numbers: of the classes in what is written: category ids, or values in segmentation maps.
        mask_threshold: probability from which a pixel belongs to an object.
        precision: fp32, fp16 or bf16.
        source: config and checkpoint that it was made of.
        versions: of the packages that made it.
        proof: deviations from PyTorch, one mapping for each picture.
    """

    task: str
    outputs: tuple[str, ...]
    classes: tuple[str, ...] = ()
    palette: tuple[tuple[int, int, int], ...] = ()
    size: tuple[int, int] | None = None
    resizing: Resizing = field(default_factory=Resizing)
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    numbers: tuple[int, ...] = ()
    mask_threshold: float = 0.5
    precision: str = 'fp32'
    source: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    proof: tuple[Mapping[str, Any], ...] = ()

    def to_json(self) -> str:
        """Text to be stored in the file."""
        return json.dumps({'version': VERSION, **dataclasses.asdict(self)})


def from_json(text: str, where: object) -> Metadata:
    """Metadata of a file.

    Args:
        text: made by :meth:`Metadata.to_json`.
        where: the file, for messages.

    Raises:
        UserError: it is not ours, or of a version that came later.
    """
    try:
        entries = json.loads(text)
        version = entries.pop('version')
        if version > VERSION:
            raise UserError(
                f'{where} was exported by a later version of effformer_dense. Update: pip install -U effformer_dense.'
            )
        known = {spec.name for spec in dataclasses.fields(Metadata)}
        kept = {name: value for name, value in entries.items() if name in known}
        kept['resizing'] = Resizing(
            **{**kept.get('resizing', {}), 'scale': _pair(kept.get('resizing', {}).get('scale'))}
        )
        kept['size'] = _pair(kept.get('size'))
        for name in ('outputs', 'classes', 'numbers', 'mean', 'std', 'proof'):
            kept[name] = tuple(kept.get(name, ()))
        kept['palette'] = tuple(tuple(colour) for colour in kept.get('palette', ()))
        metadata = Metadata(**kept)
        if not len(metadata.classes) == len(metadata.palette) == len(metadata.numbers):
            raise ValueError('classes, palette and numbers of unequal lengths')
        return metadata
    except UserError:
        raise
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise UserError(f'{where} has metadata that cannot be read ({error}). Export it again.') from error


def _pair(value: Any) -> tuple[int, int] | None:
    return None if value is None else (int(value[0]), int(value[1]))
