"""Scores of a segmentor during validation and testing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from mmengine.registry import METRICS

from ..data.segmentation_maps import UNLABELLED, file_numbers, to_segmentation_map
from ..errors import UserError
from ..files import write_png
from ..invocation import command
from .report import score_lines, score_table, write_scores
from .scores import PixelCounts, Scores


@METRICS.register_module()
class SegmentationMetric(BaseMetric):
    """mIoU, mAcc and aAcc as fractions of 1, from integer counts; see :mod:`.scores` for the definitions.

    mmseg's ``IoUMetric`` follows the same rules, counts in float32 and rounds its results to two decimals of a percent.

    Args:
        report_dir: where to write ``scores.json`` and ``scores.csv``, and log the per-class table; None: means only.
        map_dir: where to write predictions as ``NAME.png``, numbered as the annotation files of the data set are:
            from 1 where 0 means unlabelled (ADE20K, 1 to 150). None: nowhere.
        source: what the scores are of (config, checkpoint, ...), copied into ``scores.json``.
        collect_device, prefix: as for MMEngine's ``BaseMetric``.
    """

    default_prefix = ''  # plain names in logs and for save_best

    def __init__(
        self,
        report_dir: str | None = None,
        map_dir: str | None = None,
        source: dict[str, Any] | None = None,
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device, prefix)
        self.report_dir = None if report_dir is None else Path(report_dir)
        self.map_dir = None if map_dir is None else Path(map_dir)
        self.source = dict(source or {})
        self._pictures: dict[str, str] = {}  # name of a segmentation map: the picture it belongs to

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Count the pixels of some pictures.

        Args:
            data_batch: not used.
            data_samples: dicts with ``pred_sem_seg`` and ``gt_sem_seg``, both (1, H, W) at the picture's own size.

        Raises:
            UserError: no annotation, one of another size, or with labels that no class has; or two pictures whose
                segmentation maps would have one name.
        """
        num_classes = len(self.dataset_meta['classes'])
        for sample in data_samples:
            prediction = _array(sample['pred_sem_seg'])
            annotation = _annotation(sample, prediction.shape, num_classes)
            self.results.append(PixelCounts.of_picture(prediction, annotation, num_classes))
            if self.map_dir is not None:
                self._write_segmentation_map(self.map_dir, prediction, sample['img_path'])

    def compute_metrics(self, results: list[PixelCounts]) -> dict[str, float]:
        """Scores of all pictures.

        Raises:
            UserError: no annotation has a labelled pixel.
        """
        classes = self.dataset_meta['classes']
        numbers = file_numbers(self.dataset_meta)[: len(classes)].tolist()
        scores = Scores(classes, numbers, PixelCounts.total(results, len(classes)), len(results))
        summary = scores.summary()
        if self.report_dir is None:
            print_log(score_lines(scores), 'current')
        else:
            print_log('\n' + score_table(scores), 'current')
            paths = write_scores(scores, self.report_dir, self.source)
            print_log(f'Scores in {" and ".join(map(str, paths))}', 'current')
        return summary

    def _write_segmentation_map(self, folder: Path, prediction: np.ndarray, source: str) -> None:
        name = f'{Path(source).stem}.png'
        other = self._pictures.setdefault(name, source)
        if other != source:
            raise UserError(f'{other} and {source} would both write {name}. Rename one, or save no segmentation maps.')
        write_png(folder / name, to_segmentation_map(prediction, self.dataset_meta))


def _annotation(sample: dict, shape: tuple[int, int], num_classes: int) -> np.ndarray:
    path = sample.get('seg_map_path') or sample.get('img_path')
    if 'gt_sem_seg' not in sample:
        raise UserError(
            f'{path} comes without an annotation, so there is nothing to score. For pictures alone: {command("infer")}'
        )
    annotation = _array(sample['gt_sem_seg'])
    if annotation.shape != shape:
        raise UserError(
            f'The annotation {path} is {_size(annotation.shape)} px, the prediction {_size(shape)} px. Annotations '
            'must have the size of their pictures; in the test pipeline they are loaded after the picture is resized.'
        )
    wrong = annotation[(annotation >= num_classes) & (annotation != UNLABELLED)]
    if wrong.size:
        raise UserError(
            f'The annotation {path} has class index {int(wrong.max())} in {wrong.size:,} pixels, and the data set has '
            f'{num_classes} classes. Mend the file, or set classes and reduce_zero_label of the data set.'
        )
    return annotation


def _array(data: Any) -> np.ndarray:
    """(1, H, W) pixel data of a data sample that was turned into a dict: (H, W)."""
    return np.asarray(data['data'].cpu())[0].astype(np.int64)


def _size(shape: tuple[int, int]) -> str:
    return f'{shape[1]} x {shape[0]}'
