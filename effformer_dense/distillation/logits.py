"""A segmentor that learns what a frozen one says of each pixel: soft labels (arXiv 1503.02531, section 2)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.registry import MODELS
from torch import Tensor, nn

from ..checkpoint.whole_model import find_checkpoint, load_weights
from ..errors import UserError
from .frozen import FrozenTeacher

#: Attributes of preprocessors in which student and teacher have to agree, by their names in configs.
_RANGE = {'mean': 'mean', 'std': 'std', '_channel_conversion': 'bgr_to_rgb'}


@MODELS.register_module()
class LogitDistiller(FrozenTeacher):
    """A segmentor beside a frozen teacher, whose probabilities of classes it learns, position by position.

    Predicting, and what is in checkpoints, is the student's: they are those of its config without ``distill``.

    Args:
        student, teacher: configs of mmsegmentation's ``EncoderDecoder`` and its descendants, of as many classes.
        checkpoint: weights of the teacher, a file or a work dir.
        temperature: by which logits of both are divided; the loss is multiplied by its square, so that gradients stay
            as large (arXiv 1503.02531, section 2.1).

    Raises:
        UserError: the two do not have the same classes or the same normalisation, weights that do not fit, or a
            temperature that is not above 0.
    """

    def __init__(self, student: dict, teacher: dict, checkpoint: str, temperature: float = 1.0) -> None:
        if not temperature > 0:
            raise UserError(f'distill.temperature must be above 0; got {temperature!r}.')
        built = MODELS.build(student)
        super().__init__(built.data_preprocessor)
        self.student, self.temperature = built, temperature
        frozen = MODELS.build(teacher)
        _check_alike(self.student, frozen)
        load_weights(frozen, find_checkpoint(Path(checkpoint)))
        self._register_state_dict_hook(_student_as_own)
        self.register_load_state_dict_pre_hook(_own_as_student)
        self._hold(frozen)

    def forward(self, inputs: Tensor, data_samples: Any = None, mode: str = 'tensor') -> Any:
        """Images (B, 3, H, W), as the preprocessor gives them, to a loss per head, or to what the student does."""
        if mode != 'loss':
            return self.student(inputs, data_samples, mode)
        with torch.no_grad():
            taught = _of_all_classes(self.teacher(inputs, mode='tensor')) / self.temperature  # (B, classes, h, w)
        maps = self.student.extract_feat(inputs)
        return {f'{name}.loss_soft': self._loss(head, maps, taught) for name, head in _heads(self.student)}

    def init_weights(self) -> None:
        """Initialise the student; the teacher has its weights."""
        self.student.init_weights()

    def _loss(self, head: nn.Module, maps: Any, taught: Tensor) -> Tensor:
        logits = _of_all_classes(head(maps)).float() / self.temperature
        taught = F.interpolate(taught.float(), logits.shape[2:], mode='bilinear', align_corners=False)
        entropies = F.kl_div(logits.log_softmax(1), taught.log_softmax(1), reduction='none', log_target=True).sum(1)
        return entropies.mean() * self.temperature**2 * _weight(head)


def _of_all_classes(logits: Tensor) -> Tensor:
    """Of a head with one logit for two classes, that of the other class as well: 0, for a sigmoid is such a softmax."""
    return torch.cat([torch.zeros_like(logits), logits], 1) if logits.shape[1] == 1 else logits


def _heads(segmentor: Any) -> list[tuple[str, nn.Module]]:
    auxiliary = getattr(segmentor, 'auxiliary_head', None)
    several = list(auxiliary) if isinstance(auxiliary, nn.ModuleList) else [auxiliary] if auxiliary is not None else []
    return [('decode', segmentor.decode_head), *((f'aux_{number}', head) for number, head in enumerate(several))]


def _weight(head: nn.Module) -> float:
    """What the head's own losses weigh, at most: 1 in the main head, 0.4 in mmsegmentation's auxiliary ones."""
    losses = head.loss_decode if isinstance(head.loss_decode, nn.ModuleList) else [head.loss_decode]
    return max(float(getattr(loss, 'loss_weight', 1.0)) for loss in losses)


def _check_alike(student: Any, teacher: Any) -> None:
    for name, model in (('student', student), ('teacher', teacher)):
        if not hasattr(model, 'decode_head'):
            raise UserError(f'The {name} of distill.segmentor is {type(model).__name__}, and a segmentor is expected.')
    ours, theirs = student.decode_head.out_channels, teacher.decode_head.out_channels
    if ours != theirs:
        raise UserError(f'The teacher tells {theirs} classes apart, the student {ours}: soft labels need the same.')
    for name, told in _RANGE.items():
        values = [torch.as_tensor(getattr(model.data_preprocessor, name)) for model in (student, teacher)]
        if not torch.equal(*values):
            own, other = (value.flatten().tolist() for value in values)
            raise UserError(
                f'data_preprocessor.{told} is {own} in the config and {other} in that of the teacher: both '
                'see the same image. Give the student what the teacher has.'
            )


def _student_as_own(_module: nn.Module, state: dict[str, Tensor], prefix: str, _metadata: object) -> None:
    for key in [key for key in state if key.startswith(f'{prefix}student.')]:
        state[prefix + key.removeprefix(f'{prefix}student.')] = state.pop(key)


def _own_as_student(_module: nn.Module, state: dict[str, Tensor], prefix: str, *_: object) -> None:
    for key in [key for key in state if key.startswith(prefix)]:
        state[f'{prefix}student.{key.removeprefix(prefix)}'] = state.pop(key)
