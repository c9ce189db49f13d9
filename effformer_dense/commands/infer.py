"""The command ``infer``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from ..options import MAX_PIXELS, InferOptions, check_max_pixels
from ._prediction import PredictionOptions

#: Files that need neither config nor torch.
_MODEL_FILES = ('.onnx', '.xml')


@dataclass(frozen=True)
class _FileOptions(InferOptions):
    __doc__ = InferOptions.__doc__

    checkpoint: Annotated[
        Path, tyro.conf.arg(metavar='MODEL', help='exported model: .onnx, or .xml with the .bin beside it')
    ]
    device: tyro.conf.Fixed[str | None] = None  # those of PyTorch
    batch: tyro.conf.Fixed[int] = 1
    fuse: tyro.conf.Fixed[bool] = False
    compile: tyro.conf.Fixed[bool] = False
    precision: tyro.conf.Fixed[Literal['fp32', 'bf16']] = 'fp32'


def variant(arguments: Sequence[str]) -> Callable[..., None]:
    """The function for these arguments: an exported model has options of its own."""
    is_file = any(Path(word).suffix.lower() in _MODEL_FILES and not set('=*') & set(word) for word in arguments)
    return infer_file if is_file else infer


def infer(config: PredictionOptions, inference: InferOptions) -> None:
    """Run a trained detector or segmentor on pictures or videos of your own.

        COMMAND CONFIG CHECKPOINT picture.jpg
        COMMAND CONFIG CHECKPOINT folder --out-dir results
        COMMAND CONFIG CHECKPOINT 'folder/**/*_left.png' --format coco --ids annotations.json
        COMMAND CONFIG CHECKPOINT film.mp4
        COMMAND MODEL.onnx folder         # an exported model: COMMAND MODEL.onnx --help

    Detectors write annotated pictures and predictions.json in COCO format; segmentors write pictures with their colours
    (pictures/), the colours with a legend (colour_maps/) and segmentation maps numbered as the annotations are
    (segmentation_maps/). Of a video or camera (camera:0, rtsp://...) an annotated video is written (videos/); Ctrl-C
    ends a camera.
    """
    from ..engine.infer import infer as run
    from ._process import prepare_cpu

    prepare_cpu()
    print(f'Results: {run(config, inference)}')


def infer_file(inference: _FileOptions, threads: int | None = None, max_pixels: int = MAX_PIXELS) -> None:
    """Run an exported model on pictures or videos of your own; neither torch nor OpenMMLab is needed.

        COMMAND MODEL.onnx picture.jpg
        COMMAND MODEL.xml folder --out-dir results --format coco --ids annotations.json
        COMMAND MODEL.onnx film.mp4
        COMMAND MODEL.onnx camera:0       # until Ctrl-C

    Detectors write annotated pictures and predictions.json in COCO format; segmentors write pictures with their colours
    (pictures/), the colours with a legend (colour_maps/) and segmentation maps numbered as the annotations are
    (segmentation_maps/); backbones write feature maps (features/). Of a video or camera an annotated video is written
    (videos/).

    Args:
        inference: what to run on, and what to write
        threads: CPU threads, instead of one per core that affinity and control groups leave to the process
        max_pixels: largest picture that is read
    """
    from ..inference.run import find_source, run
    from ..runtime import load

    check_max_pixels(max_pixels)
    model = load(inference.checkpoint, threads)
    source = find_source(inference, max_pixels)
    print(f'Results: {run(model, source, inference, max_pixels)}')
