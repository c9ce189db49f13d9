"""Pictures in; annotated pictures out, with COCO-format JSON of detectors and segmentation maps of segmentors."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import MODELS
from mmengine.structures import BaseDataElement
from rich.progress import track
from torch import nn

from ..checkpoint.loaders import safe_loaders
from ..checkpoint.whole_model import find_checkpoint, load_weights
from ..config.datasets import datasets_of
from ..data.pictures import find_pictures, read_picture, unusable_pictures
from ..deploy.speed import speed_up
from ..errors import UserError
from ..files import check_output_dir
from ..mmcv_ops import log_stand_in
from ..options import ConfigOptions, InferOptions
from ..preflight.arguments import check_arguments
from ..preflight.device import check_device
from ..preflight.model import check_backbone
from ..preflight.run import check_parts
from ..preflight.values import check_values
from ..tasks import task_of_model
from .open import open_config

#: Steps of a test pipeline that need ground truth.
_ANNOTATION_STEPS = ('LoadAnnotations', 'LoadPanopticAnnotations', 'LoadSegmentationMap')


class Predictor:
    """A model with its test pipeline, from config and checkpoint.

    Raises:
        UserError: the checkpoint does not fit, the device cannot be used, or there is nothing to fuse.
    """

    def __init__(
        self,
        cfg: Config,
        checkpoint: Path,
        device: str | None = None,
        fused: bool = False,
        compiled: bool = False,
    ) -> None:
        self.device = check_device(device)
        model: nn.Module = MODELS.build(cfg.model)
        meta = load_weights(model, checkpoint).get('meta', {})
        self.model: Any = speed_up(revert_sync_batchnorm(model).to(self.device).eval(), fused, compiled)
        self.dataset_meta = _dataset_meta(cfg, meta)
        steps = datasets_of(cfg, 'test')[0].pipeline
        self.pipeline = Compose([s for s in steps if str(s['type']).rpartition('.')[2] not in _ANNOTATION_STEPS])

    @torch.inference_mode()
    def __call__(self, path: Path, image_id: int = 0) -> BaseDataElement:
        """Predict one picture; the data sample is in its coordinates."""
        batch = pseudo_collate([self.pipeline(dict(img_path=str(path), img_id=image_id))])
        return self.model.test_step(batch)[0]


@safe_loaders()
def infer(options: ConfigOptions, infer_options: InferOptions) -> Path:
    """Run a model over pictures.

    Writes ``pictures/NAME.png``. A detector also writes ``predictions.json``: COCO tables ``images``, ``categories``
    and ``annotations``, the latter with ``score``; a segmentor ``colour_maps/NAME.png`` and
    ``segmentation_maps/NAME.png``, see
    :func:`.segmentation.results.write_segmentation`.

    Returns:
        The folder written to.

    Raises:
        UserError: no pictures, unusable ones (unless they are skipped), a checkpoint that does not fit, fewer class
            names or colours than classes, or results that cannot be written.
    """
    checkpoint = find_checkpoint(infer_options.checkpoint)
    check_device(infer_options.device)
    paths = _usable(find_pictures(infer_options.pictures), infer_options.skip_bad)
    targets = _targets(paths)
    _check_out_dir(infer_options.out_dir, targets)
    cfg = open_config(options)
    log_stand_in('current')
    check_parts(cfg, ('model', 'test_dataloader'))
    check_arguments(cfg)
    check_values(cfg)
    check_backbone(cfg.model, with_weights=False)
    predictor = Predictor(cfg, checkpoint, infer_options.device, infer_options.fuse, infer_options.compile)
    writer = task_of_model(cfg.model).writer(
        cfg, predictor.model, predictor.dataset_meta, infer_options.out_dir, infer_options.score_threshold
    )
    for image_id, (path, name) in enumerate(track(targets.items(), description='Predicting')):
        sample = predictor(path, image_id).cpu()
        writer.write(np.ascontiguousarray(read_picture(path)[..., ::-1]), sample, name, path)
    writer.close()
    return infer_options.out_dir


def _check_out_dir(out_dir: Path, targets: dict[Path, Path]) -> None:
    """Check that results can be written without overwriting their source pictures."""
    check_output_dir(out_dir)
    kinds = ('pictures', 'colour_maps', 'segmentation_maps')
    places = {out_dir.absolute() / kind / target for kind in kinds for target in targets.values()}
    overwritten = [path for path in targets if path.absolute() in places]
    if overwritten:
        raise UserError(f'{overwritten[0]} would be overwritten by its own result. Name another --out-dir.')


def _usable(paths: list[Path], skip_bad: bool) -> list[Path]:
    bad = unusable_pictures(track(paths, description='Checking pictures', transient=True))
    if bad and not skip_bad:
        lines = '\n  '.join(list(bad.values())[:10])
        raise UserError(f'{len(bad)} of {len(paths)} pictures cannot be used:\n  {lines}\nLeave them out: --skip-bad.')
    for reason in bad.values():
        print(f'Skipped {reason}')
    usable = [path for path in paths if path not in bad]
    if not usable:
        raise UserError(f'None of the {len(paths)} pictures can be used.')
    return usable


def _targets(paths: list[Path]) -> dict[Path, Path]:
    """Relative name of each picture's result: folders below the common one are kept, equal stems keep their suffix."""
    parents = {path.parent.absolute() for path in paths}
    common = Path(os.path.commonpath(parents))
    stems = [path.absolute().with_suffix('') for path in paths]
    counts = Counter(stems)
    targets = {}
    for path, stem in zip(paths, stems, strict=True):
        name = path.stem if counts[stem] == 1 else path.name
        targets[path] = path.absolute().parent.relative_to(common) / f'{name}.png'
    return targets


def _dataset_meta(cfg: Config, meta: dict[str, Any]) -> dict[str, Any]:
    """Classes and palette: the checkpoint's own if it has them, else those of the config's test data set."""
    if meta.get('dataset_meta', {}).get('classes'):
        return dict(meta['dataset_meta'])
    return dict(datasets_of(cfg, 'test')[0].metainfo)
