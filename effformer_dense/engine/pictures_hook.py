"""Pictures of ground truth beside predictions, during testing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mmcv
import numpy as np
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.registry import HOOKS
from mmengine.structures import BaseDataElement

from ..files import write_png
from ..segmentation.draw import comparison
from .draw import draw_sample

PICTURES_HOOK = 'TestPicturesHook'


@HOOKS.register_module(name=PICTURES_HOOK)
class TestPicturesHook(Hook):
    """Draw the first pictures of a test run.

    Args:
        out_dir: where they are written, under the names of the pictures.
        count: how many at most.
        score_threshold: lowest score of a drawn instance.
    """

    __test__ = False

    def __init__(self, out_dir: str, count: int = 20, score_threshold: float = 0.5) -> None:
        self.out_dir = Path(out_dir)
        self.count = count
        self.score_threshold = score_threshold
        self._written = 0

    def before_test(self, runner) -> None:
        self._written = 0

    def after_test_iter(
        self, runner, batch_idx: int, data_batch: dict | None = None, outputs: Sequence | None = None
    ) -> None:
        for sample in outputs or ():
            if self._written >= self.count:
                return
            source = Path(sample.img_path)
            image = mmcv.imread(str(source), channel_order='rgb')
            target = self.out_dir / f'{source.stem}.png'
            if 'pred_sem_seg' in sample:
                write_png(target, _segmentation(image, sample, runner.visualizer.dataset_meta))
            else:
                draw_sample(runner.visualizer, image, sample, target, self.score_threshold, draw_gt=True)
            self._written += 1

    def after_test(self, runner) -> None:
        print_log(f'{self._written} pictures (ground truth, predictions) in {self.out_dir}', runner.logger)


def _segmentation(image: np.ndarray, sample: BaseDataElement, dataset_meta: dict[str, Any]) -> np.ndarray:
    annotation, prediction = (
        np.asarray(sample.get(name).data[0].cpu(), dtype=np.uint8) for name in ('gt_sem_seg', 'pred_sem_seg')
    )
    return comparison(image, annotation, prediction, dataset_meta['classes'], dataset_meta['palette'])
