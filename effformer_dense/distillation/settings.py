"""``distill=dict(...)`` of a config: its training becomes a distillation."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config, ConfigDict
from mmengine.registry import MODELS

from ..checkpoint.whole_model import find_checkpoint
from ..config.datasets import dataset_nodes
from ..config.load import enter_scope, load_config
from ..config.num_classes import follow_data_set
from ..data.resizing import kind_of
from ..errors import UserError, choice_error
from ..options import MAX_PIXELS, ConfigOptions
from ..preflight.model import check_backbone, pretrained_parts

#: Entries of ``distill`` by what teaches: a backbone its features, or a segmentor its logits.
KEYS = {
    'teacher': ('teacher', 'teacher_preprocessor', 'pictures', 'loss'),
    'segmentor': ('segmentor', 'pictures', 'temperature'),
}
_EXAMPLES = """
    distill=dict(teacher=dict(type='TimmFeatures', model_name='convnext_tiny', pretrained=True), pictures='FOLDER')
    distill=dict(segmentor=dict(config='CONFIG', checkpoint='CHECKPOINT'), pictures='FOLDER')"""
#: Steps of pipelines that read labels, or need them.
_LABEL_STEPS = (
    'LoadAnnotations',
    'LoadPanopticAnnotations',
    'LoadSegmentationMap',
    'FilterAnnotations',
    # Those that mix pictures put their boxes together.
    *('Mosaic', 'CachedMosaic', 'MixUp', 'CachedMixUp', 'YOLOXMixUp', 'CopyPaste'),
)


def distil(cfg: Config, max_pixels: int = MAX_PIXELS) -> None:
    """Let a config's training learn from a teacher, as its ``distill`` says, instead of from labels.

    From the features of ``distill.teacher`` learns the backbone alone, and nothing is evaluated; from the logits of
    ``distill.segmentor`` the whole segmentor, which is evaluated as ever. Schedule, optimizer, batches and augmentation
    stay. With ``pictures``, a folder takes the place of the training data, whose labels are not used anyway.

    Args:
        cfg: is changed.
        max_pixels: limit of height times width of a picture.

    Raises:
        UserError: an entry of ``distill`` that is not known, no teacher, one without weights or whose weights do not
            fit, or a model without what is taught.
        MissingFileError: weights that are neither here nor to be downloaded.
    """
    settings = cfg.distill
    kinds = [kind for kind in KEYS if settings.get(kind)]
    if len(kinds) != 1:
        raise UserError(f'distill names {" and ".join(kinds) or "no teacher"}; one is expected:{_EXAMPLES}')
    for key in settings:
        if key not in KEYS[kinds[0]]:
            raise choice_error(f'Key of distill with a {kinds[0]}', key, KEYS[kinds[0]])
    if kinds[0] == 'teacher':
        _learn_features(cfg)
    else:
        _learn_logits(cfg)
    if settings.get('pictures'):
        _read_pictures(cfg, Path(settings.pictures), max_pixels)


def _learn_features(cfg: Config) -> None:
    teacher = cfg.distill.teacher
    if not isinstance(teacher, Mapping) or 'type' not in teacher:
        raise UserError(f'distill.teacher is {teacher!r}, and has no type. For example:{_EXAMPLES}')
    if 'backbone' not in cfg.model:
        raise UserError('distill teaches model.backbone, and the config has none.')
    _check_weights(teacher)
    cfg.model = ConfigDict(
        type='FeatureDistiller',
        backbone=cfg.model.backbone,
        teacher=teacher,
        data_preprocessor=_preprocessor(cfg),
        loss=cfg.distill.get('loss', 'cosine'),
        teacher_preprocessor=cfg.distill.get('teacher_preprocessor'),
    )
    for split in ('val', 'test'):
        for part in ('cfg', 'dataloader', 'evaluator'):
            cfg[f'{split}_{part}'] = None


def _learn_logits(cfg: Config) -> None:
    segmentor = cfg.distill.segmentor
    for key in ('config', 'checkpoint'):
        if not isinstance(segmentor, Mapping) or not segmentor.get(key):
            raise UserError(f'distill.segmentor has no {key}. For example:{_EXAMPLES}')
    options = ConfigOptions(Path(segmentor.config), from_scratch=True)
    teacher = load_config(options)
    enter_scope(teacher)
    follow_data_set(teacher, options)
    cfg.model = ConfigDict(
        type='LogitDistiller',
        student=cfg.model,
        teacher=teacher.model,
        checkpoint=str(find_checkpoint(Path(segmentor.checkpoint))),
        temperature=cfg.distill.get('temperature', 1.0),
    )
    MODELS.build(copy.deepcopy(cfg.model))  # finds what does not fit before a work dir is made


def _check_weights(teacher: Mapping[str, Any]) -> None:
    if not pretrained_parts(teacher) and not teacher.get('pretrained'):
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
    dataset = next(dataset_nodes(cfg.train_dataloader.dataset))  # of several, all as the first
    steps = [step for step in dataset.get('pipeline') or () if kind_of(step) not in _LABEL_STEPS]
    for step in steps:
        step.pop('cat_max_ratio', None)  # of mmseg's RandomCrop: by labels
    cfg.train_dataloader.dataset = ConfigDict(
        type='UnlabelledPictures', data_root=str(folder), max_pixels=max_pixels, pipeline=steps
    )
