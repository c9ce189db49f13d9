"""Detector or segmentor: what differs between them, and which of them a model or a data set is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from mmengine.config import Config
from mmengine.registry import MODELS
from mmengine.structures import BaseDataElement

from .config.datasets import DatasetView
from .config.registry import find_component
from .data.survey import Survey
from .errors import UserError, choice_error


class ResultWriter(ABC):
    """Writes what a model predicts on pictures, one after the other."""

    @abstractmethod
    def write(self, image: np.ndarray, sample: BaseDataElement, name: Path, source: Path) -> None:
        """Write what belongs to one picture.

        Args:
            image: (H, W, 3) uint8, RGB.
            sample: prediction on the CPU, in the coordinates of ``image``.
            name: relative path of what is drawn, PNG.
            source: the picture's file.
        """

    @abstractmethod
    def close(self) -> None:
        """Write what belongs to all pictures."""


class Task(ABC):
    """What a model predicts, as far as this package treats it on its own.

    Attributes:
        name: for messages.
        framework: package that models and data sets of this task descend from.
    """

    name: ClassVar[str]
    framework: ClassVar[str]

    @abstractmethod
    def check_dataset(self, dataset: DatasetView) -> None:
        """Annotations are there, whole, and of the classes that the config names; raises ``UserError``."""

    @abstractmethod
    def check_classes(self, dataset: DatasetView) -> None:
        """The classes of the config are some that the data set can have; raises ``UserError``."""

    @abstractmethod
    def check_pipelines(self, dataset: DatasetView, pipelines: Mapping[str, Any]) -> None:
        """Steps of the pipelines, by their places in the config, fit the data set; raises ``UserError``."""

    @abstractmethod
    def survey(self, dataset: DatasetView) -> Survey:
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
    def writer(
        self, cfg: Config, model: Any, dataset_meta: Mapping[str, Any], out_dir: Path, score_threshold: float
    ) -> ResultWriter:
        """Writer of predictions into ``out_dir``; raises ``UserError`` if ``dataset_meta`` does not fit the model."""

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
