"""Arms of the study: what the student learns from before the labels, and for how long from them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mmengine.config import Config

from ...config.load import load_config
from ...files import write_text
from ...options import ConfigOptions
from ...search.result import set_widths
from ...variants import V2, V2_VARIANTS
from ..trainings import Training, drop_checkpoints, fit, length_of, run_training
from .settings import Settings

TEACHER = 'teacher'


@dataclass(frozen=True)
class Teacher:
    """A segmentor that was trained.

    Attributes:
        config: of it.
        checkpoint: its weights.
        arch: of its backbone.
    """

    config: Path
    checkpoint: Path
    arch: str


@dataclass(frozen=True)
class Arm:
    """A way of training the student.

    Attributes:
        name: in tables.
        lengths: of the training on labels, in iterations of a step.
        lesson: overrides that let it learn from the teacher; None where it does not.
        begin: overrides that let the training on labels begin with the checkpoint of that; None likewise.
    """

    name: str
    lengths: int = 1
    lesson: Callable[[Teacher], tuple[str, ...]] | None = None
    begin: Callable[[Path], tuple[str, ...]] | None = None


def _features(teacher: Teacher) -> tuple[str, ...]:
    at = 'distill.teacher'
    return (
        *(f'{at}.type={V2}', f'{at}.arch={teacher.arch}'),
        *(f'{at}.init_cfg.type=Pretrained', f'{at}.init_cfg.checkpoint={teacher.checkpoint}'),
    )


def _from_backbone(checkpoint: Path) -> tuple[str, ...]:
    at = 'model.backbone.init_cfg'
    return f'{at}._delete_=True', f'{at}.type=Pretrained', f'{at}.checkpoint={checkpoint}'


def _logits(teacher: Teacher) -> tuple[str, ...]:
    at = 'distill.segmentor'
    return f'{at}.config={teacher.config}', f'{at}.checkpoint={teacher.checkpoint}'


def _from_whole(checkpoint: Path) -> tuple[str, ...]:
    return (f'load_from={checkpoint}',)


ARMS = (
    Arm('labels'),
    Arm('labels, twice as long', lengths=2),
    Arm('features, then labels', lesson=_features, begin=_from_backbone),
    Arm('logits, then labels', lesson=_logits, begin=_from_whole),
)
#: What a kind of distillation has to be better than: the same iterations without a teacher.
RIVAL = ARMS[1].name


def teacher_training(settings: Settings, folder: Path) -> Training:
    """The teacher's, on all labels; writes its config."""
    config = folder / 'teacher.py'
    write_text(config, _teacher_config(settings).pretty_text)
    overrides = (*settings.cfg_options, *length_of(settings.teacher_iterations))
    return Training(TEACHER, config, 0, overrides, folder / 'data')


def _teacher_config(settings: Settings) -> Config:
    cfg = load_config(ConfigOptions(Path(settings.config)))
    cfg.model.backbone.arch = settings.teacher
    set_widths(cfg.model, V2_VARIANTS[settings.teacher].widths)
    return cfg


def teacher_of(settings: Settings, folder: Path) -> Teacher:
    """The trained teacher."""
    training = teacher_training(settings, folder)
    work_dir = run_training(training, folder, keep=True)
    return Teacher(training.config, _last(work_dir, settings.teacher_iterations), settings.teacher)


def arm_training(settings: Settings, folder: Path, arm: Arm, seed: int) -> Training:
    """An arm's training on labels, without what it begins with."""
    length = length_of(arm.lengths * settings.iterations)
    few = f'train_dataloader.dataset.indices={settings.labelled}'
    return Training(arm.name, Path(settings.config), seed, (*settings.cfg_options, *length, few), folder / 'data')


def run_arm(settings: Settings, folder: Path, arm: Arm, seed: int, teacher: Teacher | None = None) -> None:
    """Train the student, by the teacher first where the arm has it so, and score it; unless that was done."""
    on_labels = arm_training(settings, folder, arm, seed)
    if on_labels.place(folder).exists():
        return
    if arm.lesson is None or arm.begin is None:
        run_training(on_labels, folder)
        return
    assert teacher is not None, f'{arm.name} needs a teacher'
    overrides = (*settings.cfg_options, *length_of(settings.iterations), *arm.lesson(teacher))
    lesson = Training(f'{arm.name}, lesson', Path(settings.config), seed, overrides, folder / 'data')
    learned = _last(lesson.home(folder) / 'work', settings.iterations)
    if not learned.exists():
        fit(lesson, folder)
    begin = (*on_labels.overrides, *arm.begin(learned))
    run_training(Training(arm.name, on_labels.config, seed, begin, on_labels.data_root), folder)
    drop_checkpoints(lesson, folder)


def _last(work_dir: Path, iterations: int) -> Path:
    return work_dir / f'iter_{iterations}.pth'
