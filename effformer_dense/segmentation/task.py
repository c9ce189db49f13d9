"""Semantic segmentation as a task."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.structures import BaseDataElement

from ..config.datasets import DatasetView
from ..data.survey import Survey
from ..errors import UserError, choice_error
from ..invocation import command
from ..tasks import ResultWriter, Task
from .checks import check_map_loading, check_segmentation_maps
from .draw import comparison
from .results import drawable, write_segmentation
from .survey import survey_maps


class Segmentation(Task):
    """A class for every pixel."""

    name = 'segmentation'
    framework = 'mmseg'

    def check_dataset(self, dataset: DatasetView) -> None:
        """See :func:`.checks.check_segmentation_maps`."""
        if 'img_path' not in dataset.folders:
            return
        if 'seg_map_path' not in dataset.folders:
            raise UserError(
                f'data_prefix of {dataset.type_name} has no folder of segmentation maps; expected: img_path and '
                'seg_map_path. For pictures alone: ' + command('infer')
            )
        check_segmentation_maps(dataset)

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

    def survey(self, dataset: DatasetView) -> Survey:
        """See :func:`.survey.survey_maps`."""
        return survey_maps(dataset)

    def draw_comparison(
        self, image: np.ndarray, sample: BaseDataElement, dataset_meta: Mapping[str, Any], score_threshold: float
    ) -> np.ndarray:
        """Two pictures side by side, with a legend."""
        annotation, prediction = (
            np.asarray(sample.get(name).data[0], dtype=np.uint8) for name in ('gt_sem_seg', 'pred_sem_seg')
        )
        return comparison(image, annotation, prediction, dataset_meta['classes'], dataset_meta['palette'])

    def writer(
        self, cfg: Config, model: Any, dataset_meta: Mapping[str, Any], out_dir: Path, score_threshold: float
    ) -> ResultWriter:
        """See :class:`SegmentationWriter`."""
        return SegmentationWriter(drawable(dict(dataset_meta), model.out_channels), out_dir)

    def empty_sample(self, metainfo: dict[str, Any]) -> BaseDataElement:
        """mmsegmentation's."""
        from mmseg.structures import SegDataSample

        return SegDataSample(metainfo=metainfo)


class SegmentationWriter(ResultWriter):
    """Writes three files a picture, see :func:`.results.write_segmentation`."""

    def __init__(self, dataset_meta: dict[str, Any], out_dir: Path) -> None:
        self.dataset_meta = dataset_meta
        self.out_dir = out_dir

    def write(self, image: np.ndarray, sample: BaseDataElement, name: Path, source: Path) -> None:
        """Write the three files of one picture."""
        seg_map = np.asarray(sample.pred_sem_seg.data[0], dtype=np.uint8)
        write_segmentation(self.out_dir, name, image, seg_map, self.dataset_meta)

    def close(self) -> None:
        """Nothing is left to be written."""
