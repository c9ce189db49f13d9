"""The detection task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from mmengine.structures import BaseDataElement

from ..config.datasets import DatasetView
from ..data.border.findings import Findings
from ..data.survey import Survey
from ..errors import UserError
from ..results import Classes, Result
from ..tasks import ExportGraph, Reading, Task
from .annotations import fit_annotations, is_coco
from .draw import draw_comparison
from .results import detections_of
from .survey import survey_coco


class Detection(Task):
    """Predicts instances: boxes, labels, scores and, for some models, masks."""

    name = 'detection'
    framework = 'mmdet'

    def fit(self, dataset: DatasetView, reading: Reading, findings: Findings) -> dict[str, Any] | None:
        """See :func:`.annotations.fit_annotations`. Annotations in other formats than COCO's are not looked through."""
        return fit_annotations(dataset, reading, findings) if is_coco(dataset) else None

    def check_classes(self, dataset: DatasetView) -> None:
        """Nothing to check: class names are compared with the annotation file in :meth:`fit`."""

    def check_pipelines(self, dataset: DatasetView, pipelines: Mapping[str, Any]) -> None:
        """Nothing to check: mmdet's transforms take annotations as they are."""

    def survey(self, dataset: DatasetView, reading: Reading) -> Survey:
        """See :func:`.survey.survey_coco`."""
        return survey_coco(dataset, reading)

    def draw_comparison(
        self, image: np.ndarray, sample: BaseDataElement, dataset_meta: Mapping[str, Any], score_threshold: float
    ) -> np.ndarray:
        """See :func:`.draw.draw_comparison`."""
        return draw_comparison(image, sample, dataset_meta, score_threshold)

    def classes(self, model: Any, dataset_meta: Mapping[str, Any]) -> Classes:
        """Of the data set; colours are made where it has none."""
        return Classes.of_detection(dataset_meta.get('classes') or (), dataset_meta.get('palette'))

    def result(self, picture: np.ndarray, sample: BaseDataElement, classes: Classes) -> Result:
        """See :func:`.results.detections_of`."""
        return detections_of(picture, sample, classes)

    def graph(self, model: Any, any_size: bool, output: str | None = None) -> ExportGraph:
        """See :class:`.graph.DetectionGraph`."""
        from .graph import DetectionGraph

        if output is not None:
            raise UserError(f'A detector predicts boxes, and masks if it has a head for them; there is no {output!r}.')
        module = DetectionGraph(model).eval()
        threshold = model.roi_head.test_cfg.mask_thr_binary if model.with_mask else 0.5
        return ExportGraph(module, ('image',), module.outputs, module.normalise, threshold)

    def empty_sample(self, metainfo: dict[str, Any]) -> BaseDataElement:
        """mmdet's data sample."""
        from mmdet.structures import DetDataSample

        return DetDataSample(metainfo=metainfo)
