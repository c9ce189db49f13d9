"""Inference with PyTorch: pictures, videos and cameras in, results out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import MODELS
from torch import nn

from ..checkpoint.loaders import safe_loaders
from ..checkpoint.whole_model import find_checkpoint, load_weights
from ..config.datasets import datasets_of
from ..data.pictures import read_picture
from ..data.resizing import check_resized, kind_of
from ..deploy.precision import check_precision
from ..deploy.speed import speed_up
from ..errors import UserError
from ..inference.run import find_source, run
from ..options import MAX_PIXELS, ConfigOptions, InferOptions
from ..preflight.device import check_device
from ..results import Result
from ..tasks import task_of_model
from .open import open_for_prediction

#: Steps of a test pipeline that need ground truth.
_ANNOTATION_STEPS = ('LoadAnnotations', 'LoadPanopticAnnotations', 'LoadSegmentationMap')
#: The step that reads a picture, and those of its options that change nothing about the pixels.
_LOADING, _PLAIN_OPTIONS = 'LoadImageFromFile', {'type', 'backend_args', 'file_client_args', 'ignore_empty'}


class TorchPredictor:
    """A model with its test pipeline, from config and checkpoint: a :class:`..inference.predictor.Predictor`.

    Raises:
        UserError: the checkpoint does not fit, the device cannot be used, there is nothing to fuse, or there are fewer
            class names or colours than classes.
    """

    def __init__(self, cfg: Config, checkpoint: Path, options: InferOptions) -> None:
        model: nn.Module = MODELS.build(cfg.model)
        meta = load_weights(model, checkpoint).get('meta', {})
        model = revert_sync_batchnorm(model).to(check_device(options.device)).eval()
        self.model: Any = speed_up(model, options.fuse, options.compile, options.precision)
        self._task = task_of_model(cfg.model)
        self.task = self._task.name
        self.classes = self._task.classes(self.model, dataset_meta_of(cfg, meta))
        self._steps = datasets_of(cfg, 'test')[0].pipeline
        steps = [step for step in self._steps if kind_of(step) not in _ANNOTATION_STEPS]
        self._reads_plainly = bool(steps) and kind_of(steps[0]) == _LOADING and set(steps[0]) <= _PLAIN_OPTIONS
        self._pipeline = Compose(steps[1:] if self._reads_plainly else steps)

    def read(self, path: Path, max_pixels: int = MAX_PIXELS) -> np.ndarray:
        """See :func:`..data.pictures.read_picture`; its channels are turned to RGB."""
        image = read_picture(path, max_pixels)
        check_resized(path, self._steps, image.shape[1], image.shape[0])
        return np.ascontiguousarray(image[..., ::-1])

    def prepare(self, pixels: np.ndarray, path: Path | None = None) -> tuple[np.ndarray, dict[str, Any]]:
        """The picture, and what the test pipeline makes of it."""
        size = pixels.shape[:2]
        entries: dict[str, Any] = dict(img_path=None if path is None else str(path), img_id=0)
        if self._reads_plainly:  # as its first step would, which is left out: the file has been read
            entries.update(img=np.ascontiguousarray(pixels[..., ::-1]), img_shape=size, ori_shape=size)
        elif path is None:
            raise UserError(
                f'Frames of a video need a test pipeline that begins with dict(type={_LOADING!r}), without options of '
                f'its own; it begins with {dict(self._steps[0])}.'
            )
        return pixels, self._pipeline(entries)

    @torch.inference_mode()
    def predict(self, prepared: Sequence[tuple[np.ndarray, dict[str, Any]]]) -> list[Result]:
        """Predict pictures, which have one size, at once."""
        samples = self.model.test_step(pseudo_collate([entries for _, entries in prepared]))
        pictures = (pixels for pixels, _ in prepared)
        return [
            self._task.result(picture, sample.cpu(), self.classes)
            for picture, sample in zip(pictures, samples, strict=True)
        ]


@safe_loaders()
def infer(options: ConfigOptions, infer_options: InferOptions) -> Path:
    """Run a model over pictures, a video or a camera.

    See :mod:`..inference.outputs` for what is written.

    Returns:
        The folder written to.

    Raises:
        UserError: see :func:`..inference.run.find_source`, :class:`TorchPredictor` and :func:`..inference.run.run`.
    """
    check_precision(infer_options.precision, check_device(infer_options.device))
    checkpoint = find_checkpoint(infer_options.checkpoint)
    source = find_source(infer_options, options.max_pixels)
    cfg = open_for_prediction(options)
    predictor = TorchPredictor(cfg, checkpoint, infer_options)
    return run(predictor, source, infer_options, options.max_pixels)


def dataset_meta_of(cfg: Config, meta: dict[str, Any]) -> dict[str, Any]:
    """Classes and palette: the checkpoint's own if it has them, else those of the config's test data set."""
    if meta.get('dataset_meta', {}).get('classes'):
        return dict(meta['dataset_meta'])
    return dict(datasets_of(cfg, 'test')[0].metainfo)
