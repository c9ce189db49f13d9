"""Detector or segmentor: what differs between them, and which of them a model or a data set is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from mmengine.registry import MODELS
from mmengine.structures import BaseDataElement
from torch import nn

from .config.datasets import DatasetView
from .config.registry import find_component
from .data.border.findings import Findings
from .data.survey import Survey
from .deploy.features import Normalise
from .errors import UserError, choice_error
from .options import MAX_PIXELS
from .results import Classes, Result

#: Is told what is done, how many of them, and of how many.
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Reading:
    """What a run does with a data set.

    Attributes:
        evaluator: config of the metrics by which it is scored; None where it is trained on.
        outside_root: pictures may lie outside their folder.
        max_pixels: larger pictures are left out.
        progress: is told what is done, how many of them, and of how many.
    """

    evaluator: Any = None
    outside_root: bool = False
    max_pixels: int = MAX_PIXELS
    progress: Progress | None = None


@dataclass(frozen=True)
class ExportGraph:
    """A model from pixels to results, to be recorded.

    Attributes:
        module: takes tensors by the names of ``inputs``, see :class:`.runtime.metadata.Metadata`.
        inputs: ``image``, and ``size`` where results come at a size that is asked for.
        outputs: names of what it returns.
        normalise: its part that does so, which knows mean and deviation.
        mask_threshold: probability from which a pixel belongs to an object.
    """

    module: nn.Module
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    normalise: Normalise
    mask_threshold: float = 0.5


class Task(ABC):
    """What a model predicts, as far as this package treats it on its own.

    Attributes:
        name: for messages.
        framework: package that models and data sets of this task descend from.
    """

    name: ClassVar[str]
    framework: ClassVar[str]

    @abstractmethod
    def fit(self, dataset: DatasetView, reading: Reading, findings: Findings) -> dict[str, Any] | None:
        """Look through the annotations of a data set before a run.

        Args:
            dataset: whose folders and files are there.
            reading: what the run does with it.
            findings: takes note of every record that is repaired, dropped or doubtful.

        Returns:
            A COCO table to be read in place of the data set's file; None if all can be read as it is.

        Raises:
            UserError: nothing sensible can be trained, or scored.
        """

    @abstractmethod
    def check_classes(self, dataset: DatasetView) -> None:
        """The classes of the config are some that the data set can have; raises ``UserError``."""

    @abstractmethod
    def check_pipelines(self, dataset: DatasetView, pipelines: Mapping[str, Any]) -> None:
        """Steps of the pipelines, by their places in the config, fit the data set; raises ``UserError``."""

    @abstractmethod
    def survey(self, dataset: DatasetView, reading: Reading) -> Survey:
        """Look through a data set, to be shown; raises ``UserError`` if nothing can be."""

    @abstractmethod
    def draw_comparison(
        self, image: np.ndarray, sample: BaseDataElement, dataset_meta: Mapping[str, Any], score_threshold: float
    ) -> np.ndarray:
        """Ground truth beside prediction, both in ``sample``.

        Args:
            image: (H, W, 3) uint8, RGB.
            sample: in the coordinates of ``image``.
            dataset_meta: of the run: ``classes``, ``palette``.
            score_threshold: lowest score of a drawn instance.

        Returns:
            (H', W', 3) uint8, RGB.
        """

    @abstractmethod
    def classes(self, model: Any, dataset_meta: Mapping[str, Any]) -> Classes:
        """What the model's labels mean; raises ``UserError`` if ``dataset_meta`` does not fit the model."""

    @abstractmethod
    def result(self, picture: np.ndarray, sample: BaseDataElement, classes: Classes) -> Result:
        """What a sample predicts.

        Args:
            picture: (H, W, 3) uint8, RGB.
            sample: on the CPU, in the coordinates of ``picture``.
            classes: of the model.
        """

    @abstractmethod
    def graph(self, model: Any, any_size: bool, output: str | None = None) -> ExportGraph:
        """The model with plain tensors in and out.

        Args:
            model: in evaluation mode.
            any_size: of pictures; a file for one size gives what it predicts at that size.
            output: what is predicted, where there is a choice; None for the usual.

        Raises:
            UserError: the model cannot be exported, or there is no such output.
        """

    @abstractmethod
    def empty_sample(self, metainfo: dict[str, Any]) -> BaseDataElement:
        """Data sample without annotations, as a pipeline makes one."""


def task_of_model(model: Mapping[str, Any]) -> Task:
    """Task of a model's config.

    Raises:
        UserError: it descends neither from mmdet nor from mmsegmentation.
    """
    task = task_of(find_component(MODELS, model.get('type')))
    if task is None:
        known = ' or '.join(f'{task.framework} ({task.name})' for task in all_tasks())
        raise UserError(
            f'model.type {model.get("type")!r} is not built on {known}. Is custom_imports of the config complete?'
        )
    return task


def task_of_dataset(dataset: DatasetView) -> Task | None:
    """Task of a data set; None for one that is of no framework's, about which nothing is known."""
    return task_of(dataset.cls)


def task_of(cls: type | None) -> Task | None:
    """Task of a class of models or data sets: by the package that its nearest base class is from."""
    tasks = {task.framework: task for task in all_tasks()}
    packages = (base.__module__.partition('.')[0] for base in getattr(cls, '__mro__', ()))
    return next((tasks[package] for package in packages if package in tasks), None)


def task_named(name: str) -> Task:
    """Task of that name.

    Raises:
        UserError: there is none.
    """
    tasks = {task.name: task for task in all_tasks()}
    if name not in tasks:
        raise choice_error('task', name, tasks)
    return tasks[name]


def all_tasks() -> tuple[Task, ...]:
    """A new task goes in here."""
    from .detection.task import Detection  # which build on this module
    from .segmentation.task import Segmentation

    return Detection(), Segmentation()
