"""``distill=dict(...)`` of a config: its training becomes a distillation of its backbone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config, ConfigDict

from ..errors import UserError, choice_error
from ..options import MAX_PIXELS
from ..preflight.model import check_backbone

KEYS = ('teacher', 'pictures', 'loss')
_EXAMPLE = (
    "distill=dict(teacher=dict(type='TimmFeatures', model_name='convnext_tiny', pretrained=True), pictures='FOLDER')"
)
#: Steps of pipelines that read labels, or need them.
_LABEL_STEPS = ('LoadAnnotations', 'LoadPanopticAnnotations', 'LoadSegmentationMap', 'FilterAnnotations')


def distil(cfg: Config, max_pixels: int = MAX_PIXELS) -> None:
    """Let a config train its backbone on the features of ``cfg.distill.teacher`` alone.

    Schedule, optimizer, batches and augmentation stay; there is nothing to evaluate. With ``pictures``, a folder takes
    the place of the training data, whose labels are not used anyway.

    Args:
        cfg: is changed.
        max_pixels: limit of height times width of a picture.

    Raises:
        UserError: an entry of ``distill`` that is not known, no teacher, one without weights or whose weights do not
            fit, or a model without a backbone.
        MissingFileError: weights that are neither here nor to be downloaded.
    """
    settings = cfg.distill
    for key in settings:
        if key not in KEYS:
            raise choice_error('Key of distill', key, KEYS)
    teacher = settings.get('teacher')
    if not isinstance(teacher, Mapping) or 'type' not in teacher:
        raise UserError(f'distill has no teacher with a type. For example: {_EXAMPLE}')
    if 'backbone' not in cfg.model:
        raise UserError('distill teaches model.backbone, and the config has none.')
    _check_weights(teacher)
    cfg.model = ConfigDict(
        type='FeatureDistiller',
        backbone=cfg.model.backbone,
        teacher=teacher,
        data_preprocessor=_preprocessor(cfg),
        loss=settings.get('loss', 'cosine'),
    )
    for split in ('val', 'test'):
        for part in ('cfg', 'dataloader', 'evaluator'):
            cfg[f'{split}_{part}'] = None
    if settings.get('pictures'):
        _read_pictures(cfg, Path(settings.pictures), max_pixels)


def _check_weights(teacher: Mapping[str, Any]) -> None:
    inits = teacher.get('init_cfg') or ()
    pretrained = any(
        part.get('type') == 'Pretrained' for part in (inits if isinstance(inits, list | tuple) else (inits,))
    )
    if not pretrained and not teacher.get('pretrained'):
        raise UserError(
            f'The teacher {teacher["type"]} would have random weights. Name some: pretrained=True for TimmFeatures, or '
            "init_cfg=dict(type='Pretrained', checkpoint=FILE), which may be a detector's or segmentor's."
        )
    check_backbone(dict(backbone=teacher), with_weights=True, where='distill.teacher')


def _preprocessor(cfg: Config) -> ConfigDict:
    """What normalises images, without what it does to labels."""
    whole = cfg.model.get('data_preprocessor') or cfg.get('data_preprocessor') or {}
    kept = {key: whole[key] for key in ('mean', 'std', 'bgr_to_rgb') if key in whole}
    return ConfigDict(type='ImgDataPreprocessor', pad_size_divisor=32, **kept)


def _read_pictures(cfg: Config, folder: Path, max_pixels: int) -> None:
    dataset = cfg.train_dataloader.dataset
    while 'dataset' in dataset:  # wrapped ones
        dataset = dataset.dataset
    steps = [step for step in dataset.get('pipeline') or () if step.get('type') not in _LABEL_STEPS]
    for step in steps:
        step.pop('cat_max_ratio', None)  # of mmseg's RandomCrop: by labels
    cfg.train_dataloader.dataset = ConfigDict(
        type='UnlabelledPictures', data_root=str(folder), max_pixels=max_pixels, pipeline=steps
    )
