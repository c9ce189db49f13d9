"""The detection task."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.structures import BaseDataElement

from ..config.datasets import DatasetView
from ..data.survey import Survey
from ..files import write_png, write_text
from ..tasks import ResultWriter, Task
from .checks import check_annotations
from .draw import draw_comparison, draw_prediction
from .results import instance_annotations, predictions_table
from .survey import survey_coco


class Detection(Task):
    """Predicts instances: boxes, labels, scores and, for some models, masks."""

    name = 'detection'
    framework = 'mmdet'

    def check_dataset(self, dataset: DatasetView) -> None:
        """See :func:`.checks.check_annotations`. Annotations in other formats than COCO's are not checked."""
        if dataset.annotation is not None and dataset.annotation.suffix == '.json':
            check_annotations(dataset.annotation, dataset.classes, dataset.folders.get('img'))

    def check_classes(self, dataset: DatasetView) -> None:
        """Nothing to check: class names are compared with the annotation file in :meth:`check_dataset`."""

    def check_pipelines(self, dataset: DatasetView, pipelines: Mapping[str, Any]) -> None:
        """Nothing to check: mmdet's transforms take annotations as they are."""

    def survey(self, dataset: DatasetView) -> Survey:
        """See :func:`.survey.survey_coco`."""
        return survey_coco(dataset)

    def draw_comparison(
        self, image: np.ndarray, sample: BaseDataElement, dataset_meta: Mapping[str, Any], score_threshold: float
    ) -> np.ndarray:
        """See :func:`.draw.draw_comparison`."""
        return draw_comparison(image, sample, dataset_meta, score_threshold)

    def writer(
        self, cfg: Config, model: Any, dataset_meta: Mapping[str, Any], out_dir: Path, score_threshold: float
    ) -> ResultWriter:
        """See :class:`InstanceWriter`."""
        return InstanceWriter(dataset_meta, out_dir, score_threshold)

    def empty_sample(self, metainfo: dict[str, Any]) -> BaseDataElement:
        """mmdet's data sample."""
        from mmdet.structures import DetDataSample

        return DetDataSample(metainfo=metainfo)


class InstanceWriter(ResultWriter):
    """Writes ``pictures/NAME.png`` and, for models that predict instances, ``predictions.json`` in COCO format."""

    def __init__(self, dataset_meta: Mapping[str, Any], out_dir: Path, score_threshold: float) -> None:
        self.dataset_meta = dataset_meta
        self.out_dir = out_dir
        self.score_threshold = score_threshold
        self._images: list[dict[str, Any]] = []
        self._annotations: list[dict[str, Any]] = []
        self._has_instances = False

    def write(self, image: np.ndarray, sample: BaseDataElement, name: Path, source: Path) -> None:
        """Draw one picture and collect its instances."""
        drawn = draw_prediction(image, sample, self.dataset_meta, self.score_threshold)
        write_png(self.out_dir / 'pictures' / name, drawn)
        image_id = len(self._images)
        height, width = image.shape[:2]
        file_name = (name.parent / source.name).as_posix()
        self._images.append({'id': image_id, 'file_name': file_name, 'height': height, 'width': width})
        self._annotations += instance_annotations(sample, image_id, len(self._annotations) + 1, self.dataset_meta)
        self._has_instances |= 'pred_instances' in sample

    def close(self) -> None:
        """Write the table of all instances."""
        if self._has_instances:
            table = predictions_table(self._images, self._annotations, self.dataset_meta)
            write_text(self.out_dir / 'predictions.json', json.dumps(table))
