"""A backbone that learns the feature maps of a frozen one.

Letters: ``B`` batch, ``C`` channels of the teacher, ``h, w`` a map.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.registry import MODELS
from torch import Tensor, nn

from ..backbones.base import DenseBackbone
from ..backbones.timm_features import TimmFeatures
from ..errors import UserError, choice_error
from .frozen import FrozenTeacher

Backbone = DenseBackbone | TimmFeatures

#: Student's and teacher's maps, (B, C, h, w) each, to a number: 0 where they agree.
LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    'cosine': lambda student, teacher: 1 - F.cosine_similarity(student, teacher, dim=1).mean(),
    'smooth_l1': F.smooth_l1_loss,
}
#: RGB, 0 to 1; all published weights of our backbones were trained with it.
_IMAGENET = {'mean': (0.485, 0.456, 0.406), 'std': (0.229, 0.224, 0.225)}


@MODELS.register_module()
class FeatureDistiller(FrozenTeacher):
    """A backbone beside a frozen teacher, whose maps of the same strides it learns to foretell by a 1 x 1 convolution.

    The teacher's maps are normed per channel over the batch: its largest channels would outweigh the others. Maps that
    :class:`..backbones.timm_features.TimmFeatures` makes by layers of its own, which have learned nothing, are left
    out. Checkpoints hold the backbone and the convolutions, not the teacher.

    Args:
        backbone: config of the student, of this package.
        teacher: config of the teacher, likewise, and where its weights are from (``pretrained`` or ``init_cfg``).
        data_preprocessor: MMEngine's ``ImgDataPreprocessor`` of the student, to RGB.
        loss: one of :data:`LOSSES`, the mean over the maps that are learned.
        teacher_preprocessor: ``mean`` and ``std``, RGB, 0 to 255, that the teacher was trained with; None for those
            that a model of timm tells, and those of ImageNet for others.

    Raises:
        UserError: another loss, a range of the teacher that is none, a student or teacher of another kind, or no stride
            that both have maps of.
    """

    factor: Tensor
    shift: Tensor

    def __init__(
        self,
        backbone: dict,
        teacher: dict,
        data_preprocessor: dict,
        loss: str = 'cosine',
        teacher_preprocessor: dict | None = None,
    ) -> None:
        super().__init__(data_preprocessor)
        if loss not in LOSSES:
            raise choice_error('distill.loss', loss, LOSSES)
        self.loss = loss
        self.backbone = _build(backbone, 'student')
        self._hold(_build(teacher, 'teacher'))
        self.pairs = _pairs(self.backbone, self.teacher)
        widths = [(self.backbone.out_channels[own], self.teacher.out_channels[other]) for own, other in self.pairs]
        self.projectors = nn.ModuleList(nn.Conv2d(own, other, kernel_size=1) for own, other in widths)
        self.norms = nn.ModuleList(nn.BatchNorm2d(other, affine=False) for _, other in widths)
        factor, shift = _to_range(self.data_preprocessor, *_range_of(self.teacher, teacher_preprocessor))
        self.register_buffer('factor', factor, persistent=False)
        self.register_buffer('shift', shift, persistent=False)

    def forward(self, inputs: Tensor, data_samples: Any = None, mode: str = 'tensor') -> Any:
        """Images (B, 3, H, W), as the preprocessor gives them, to a loss per learned map, or to the student's maps."""
        maps = self.backbone(inputs)
        if mode != 'loss':
            return maps
        with torch.no_grad():
            targets = self.teacher(inputs * self.factor + self.shift)
        losses = {}
        parts = zip(self.pairs, self.projectors, self.norms, strict=True)
        for (own, other), projector, norm in parts:
            target = norm(targets[other].float())
            foretold = projector(maps[own]).float()
            name = f'loss_stride_{self.backbone.out_strides[own]}'
            losses[name] = LOSSES[self.loss](foretold, target) / len(self.pairs)
        return losses


def _build(config: dict, who: str) -> Backbone:
    built = MODELS.build(config)
    if not isinstance(built, Backbone):
        raise UserError(
            f'The {who} of a distillation is {type(built).__name__}: EfficientFormerV1, EfficientFormerV2, EdgeViT and '
            'TimmFeatures (any model of timm) can be.'
        )
    return built


def _pairs(student: Backbone, teacher: Backbone) -> list[tuple[int, int]]:
    """Places of maps of one stride, in the outputs of both, that the teacher has itself."""
    native = [index for index, stride in enumerate(teacher.out_strides) if _is_native(teacher, index)]
    places = {teacher.out_strides[index]: index for index in native}
    pairs = [(own, places[stride]) for own, stride in enumerate(student.out_strides) if stride in places]
    if not pairs:
        has = ', '.join(map(str, places)) or 'none of 4, 8, 16 and 32'
        raise UserError(
            f"The student's maps have strides {', '.join(map(str, student.out_strides))}, the teacher's own {has}: "
            'nothing can be learned from it. Take another teacher, or other out_indices.'
        )
    return pairs


def _is_native(teacher: Backbone, index: int) -> bool:
    return isinstance(teacher, DenseBackbone) or not list(teacher.resamples[index].parameters())


def _range_of(teacher: Backbone, given: dict | None) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of the images that the teacher was trained with, (3,) each, of 0 to 255."""
    if given is not None:
        if given.keys() != {'mean', 'std'} or any(len(values) != 3 for values in given.values()):
            raise UserError(
                f'distill.teacher_preprocessor is {dict(given)}; mean and std are expected, three numbers each, RGB: '
                'dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375]).'
            )
        return torch.tensor(given['mean']).float(), torch.tensor(given['std']).float()
    asked = {} if isinstance(teacher, DenseBackbone) else getattr(teacher.model, 'pretrained_cfg', {})
    mean, std = (255 * torch.tensor(asked.get(name, usual)) for name, usual in _IMAGENET.items())
    return mean, std


def _to_range(preprocessor: nn.Module, wanted_mean: Tensor, wanted_std: Tensor) -> tuple[Tensor, Tensor]:
    """Factor and addend, (3, 1, 1), from the student's images to those of another mean and standard deviation."""
    if not getattr(preprocessor, '_channel_conversion', False):
        raise UserError('Teachers want RGB, and data_preprocessor.bgr_to_rgb is not True: pictures are read as BGR.')
    mean, std = (torch.as_tensor(getattr(preprocessor, name)).flatten() for name in _IMAGENET)
    return (std / wanted_std)[:, None, None], ((mean - wanted_mean) / wanted_std)[:, None, None]
