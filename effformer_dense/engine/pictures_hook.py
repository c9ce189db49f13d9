"""Pictures of ground truth beside predictions, during testing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import mmcv
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.registry import HOOKS

from ..files import write_png
from ..tasks import task_named

PICTURES_HOOK = 'TestPicturesHook'


@HOOKS.register_module(name=PICTURES_HOOK)
class TestPicturesHook(Hook):
    """Draw the first pictures of a test run.

    Args:
        out_dir: where they are written, under the names of the pictures.
        count: how many at most.
        score_threshold: lowest score of a drawn instance.
        task: name of the task.
    """

    __test__ = False

    def __init__(self, out_dir: str, count: int = 20, score_threshold: float = 0.5, task: str = 'detection') -> None:
        self.out_dir = Path(out_dir)
        self.count = count
        self.score_threshold = score_threshold
        self.task = task_named(task)
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
            meta = runner.visualizer.dataset_meta
            drawn = self.task.draw_comparison(image, sample.cpu(), meta, self.score_threshold)
            write_png(self.out_dir / f'{source.stem}.png', drawn)
            self._written += 1

    def after_test(self, runner) -> None:
        print_log(f'{self._written} pictures (ground truth, predictions) in {self.out_dir}', runner.logger)
