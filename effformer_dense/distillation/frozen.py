"""What both distillers do with their teacher: it stays as it is, and stays out of checkpoints."""

from __future__ import annotations

from typing import Any

from mmengine.model import BaseModel
from torch import Tensor, nn


class FrozenTeacher(BaseModel):
    """A model with a teacher that neither learns nor is saved; :meth:`_hold` takes it in.

    Args:
        data_preprocessor: of MMEngine's ``BaseModel``.
    """

    teacher: Any

    def _hold(self, teacher: nn.Module) -> None:
        self.teacher = teacher.requires_grad_(False)
        self._register_state_dict_hook(_without_teacher)
        self.register_load_state_dict_pre_hook(_with_teacher)

    def train(self, mode: bool = True) -> FrozenTeacher:
        """Set training mode; the teacher stays in evaluation mode."""
        super().train(mode)
        self.teacher.eval()
        return self


def _without_teacher(_module: nn.Module, state: dict[str, Tensor], prefix: str, _metadata: object) -> None:
    for key in [key for key in state if key.startswith(f'{prefix}teacher.')]:
        del state[key]


def _with_teacher(module: FrozenTeacher, state: dict[str, Tensor], prefix: str, *_: object) -> None:
    """The teacher keeps its weights, whatever is loaded."""
    for key, value in module.teacher.state_dict().items():
        state[f'{prefix}teacher.{key}'] = value
