"""Semantic segmentation as a task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from mmengine.structures import BaseDataElement

from .. import results
from ..config.datasets import DatasetView
from ..data.border.findings import Findings
from ..data.segmentation_maps import UNLABELLED, file_numbers
from ..data.survey import Survey
from ..errors import UserError, choice_error
from ..invocation import command
from ..results import Classes, Result
from ..results.overlays import comparison
from ..tasks import ExportGraph, Reading, Task
from .checks import check_map_loading
from .fit import fit_maps
from .results import drawable
from .survey import survey_maps


class Segmentation(Task):
    """A class for every pixel."""

    name = 'segmentation'
    framework = 'mmseg'

    def fit(self, dataset: DatasetView, reading: Reading, findings: Findings) -> None:
        """See :func:`.fit.fit_maps`; maps are read as they are, or refused."""
        if 'img_path' not in dataset.folders:
            return
        if 'seg_map_path' not in dataset.folders:
            raise UserError(
                f'data_prefix of {dataset.type_name} has no folder of segmentation maps; expected: img_path and '
                'seg_map_path. For pictures alone: ' + command('infer')
            )
        fit_maps(dataset, reading, findings)

    def check_classes(self, dataset: DatasetView) -> None:
        """Segmentation maps are numbered by the classes of the data set's class; a config chooses among them."""
        if dataset.classes is None:
            raise UserError(
                f'The data set {dataset.type_name} has no list of classes. Name them: metainfo=dict(classes=[...]).'
            )
        unknown = [name for name in dataset.classes if name not in (dataset.file_classes or ())]
        if unknown:
            raise choice_error(f'A class of {dataset.type_name}', unknown[0], dataset.file_classes or ())

    def check_pipelines(self, dataset: DatasetView, pipelines: Mapping[str, Any]) -> None:
        """See :func:`.checks.check_map_loading`."""
        check_map_loading(dataset, pipelines)

    def survey(self, dataset: DatasetView, reading: Reading) -> Survey:
        """See :func:`.survey.survey_maps`."""
        return survey_maps(dataset, max_pixels=reading.max_pixels)

    def draw_comparison(
        self, image: np.ndarray, sample: BaseDataElement, dataset_meta: Mapping[str, Any], score_threshold: float
    ) -> np.ndarray:
        """Two pictures side by side, with a legend."""
        annotation, prediction = (
            np.asarray(sample.get(name).data[0], dtype=np.uint8) for name in ('gt_sem_seg', 'pred_sem_seg')
        )
        return comparison(image, annotation, prediction, dataset_meta['classes'], dataset_meta['palette'])

    def classes(self, model: Any, dataset_meta: Mapping[str, Any]) -> Classes:
        """Of the data set, see :func:`.results.drawable`.

        Raises:
            UserError: more than labels of 8 bits can tell apart.
        """
        if model.out_channels > UNLABELLED:
            raise UserError(f'Labels are 8 bits and {UNLABELLED} means unlabelled: got {model.out_channels} classes.')
        meta = drawable(dict(dataset_meta), model.out_channels)
        return Classes.of_segmentation(meta['classes'], meta['palette'], file_numbers(meta).tolist())

    def result(self, picture: np.ndarray, sample: BaseDataElement, classes: Classes) -> Result:
        """A class for every pixel of the picture."""
        return results.Segmentation(picture, classes, np.asarray(sample.pred_sem_seg.data[0], dtype=np.uint8))

    def graph(self, model: Any, any_size: bool, output: str | None = None) -> ExportGraph:
        """See :class:`.graph.SegmentationGraph`."""
        from .graph import SegmentationGraph

        module = SegmentationGraph(model, output or 'labels').eval()
        inputs = ('image', 'size') if any_size else ('image',)
        threshold = model.decode_head.threshold if model.out_channels == 1 else 0.5
        return ExportGraph(module, inputs, (module.output,), module.normalise, threshold)

    def empty_sample(self, metainfo: dict[str, Any]) -> BaseDataElement:
        """mmsegmentation's."""
        from mmseg.structures import SegDataSample

        return SegDataSample(metainfo=metainfo)
