"""Does an exported file give what PyTorch gives, on pictures of sizes that it was not recorded at?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import nn

from ..data.pictures import read_picture
from ..deploy.agreement import Agreement, Arrays, Limits, compare
from ..deploy.formats.base import Run
from ..runtime.metadata import Resizing
from ..variants import MIN_SIDE_PX

#: Pictures that a file is compared on.
PICTURES = 3
#: Share of the size at which a config runs a picture, and whether it is turned by 90 degrees, for each of them.
_VIEWS = ((1.0, False), (0.75, False), (0.6, True))
#: Values of pixels reach from 0 to 255; what changes with such noise is decided by rounding.
_NOISE = 1e-4
_NOISY_RUNS = 4


@dataclass(frozen=True)
class Case:
    """One picture as the network takes it.

    Attributes:
        picture: name of its file.
        inputs: of the graph, see :class:`..runtime.metadata.Metadata`.
    """

    picture: str
    inputs: dict[str, np.ndarray]

    @property
    def size(self) -> tuple[int, int]:
        height, width = self.inputs['image'].shape[2:]
        return height, width


def cases(
    pictures: Sequence[tuple[str, np.ndarray]], resizing: Resizing, size: tuple[int, int] | None, with_size: bool
) -> Iterator[Case]:
    """Pictures at the sizes that a file is compared at.

    Args:
        pictures: names and (H, W, 3) uint8, RGB; at least one.
        resizing: by which a config brings them to the network's size.
        size: the only (height, width) that the file takes; None for any: then one picture is compared at the config's
            size, one at odd sides, and one upright where it lay, or the other way around.
        with_size: the graph has the input ``size``: that of the picture is asked for.
    """
    for index, (share, turned) in enumerate(_VIEWS):
        name, pixels = pictures[index % len(pictures)]
        if size is None:
            pixels = np.rot90(pixels) if turned else pixels
            height, width = (
                max(MIN_SIDE_PX, round(side * share) | (share != 1)) for side in resizing.size(*pixels.shape[:2])
            )
        else:
            height, width = size
        image = cv2.resize(np.ascontiguousarray(pixels), (width, height)).astype(np.float32)
        inputs = {'image': np.ascontiguousarray(image.transpose(2, 0, 1)[None])}
        if with_size:
            inputs['size'] = np.array(pixels.shape[:2], np.int64)
        yield Case(name, inputs)


class Reference:
    """What PyTorch gives.

    Args:
        module: that was recorded, on the CPU.
        outputs: names of its outputs.
    """

    def __init__(self, module: nn.Module, outputs: Sequence[str]) -> None:
        self._module = module.eval()
        self._outputs = tuple(outputs)

    @torch.inference_mode()
    def __call__(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        found = self._module(**{name: torch.from_numpy(array) for name, array in inputs.items()})
        values = found if isinstance(found, tuple) else (found,)
        return {name: value.numpy() for name, value in zip(self._outputs, values, strict=True)}

    def noisy(self, inputs: Mapping[str, np.ndarray]) -> Iterator[dict[str, np.ndarray]]:
        """Outputs for the same picture with noise of 0.0001 of 255 levels."""
        for seed in range(_NOISY_RUNS):
            noise = np.random.default_rng(seed).uniform(-_NOISE, _NOISE, inputs['image'].shape).astype(np.float32)
            yield self({**inputs, 'image': inputs['image'] + noise})


def prove(case: Case, reference: Reference, run: Run, limits: Limits) -> Agreement:
    """Compare a file with PyTorch on one picture."""
    expected: Arrays = reference(case.inputs)
    found = run(case.inputs)
    agreement = compare(expected, found, limits)
    if agreement.faults and 'boxes' in expected:
        agreement = compare(expected, found, limits, list(reference.noisy(case.inputs)))
    return agreement


def record_of(case: Case, agreement: Agreement) -> dict[str, Any]:
    """What is stored in the file's metadata."""
    return {'picture': case.picture, 'size': case.size, **agreement.figures}


def sample_picture() -> tuple[str, np.ndarray]:
    """A photograph that is on every machine that this package is installed on: matplotlib's."""
    import matplotlib

    path = Path(matplotlib.get_data_path(), 'sample_data', 'grace_hopper.jpg')
    return path.name, read_picture(path)[..., ::-1]
