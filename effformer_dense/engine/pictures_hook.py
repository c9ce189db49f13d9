"""Pictures of ground truth beside predictions, during testing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import mmcv
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.registry import HOOKS

from ..errors import UserError
from ..files import write_png
from ..tasks import task_named

PICTURES_HOOK = 'TestPicturesHook'


@HOOKS.register_module(name=PICTURES_HOOK)
class TestPicturesHook(Hook):
    """Draw the first pictures of a test run.

    Args:
        out_dir: where they are written, under the names of the pictures.
        roots: folders of the data; of a picture below one, the folders between are kept.
        count: how many at most.
        score_threshold: lowest score of a drawn instance.
        task: name of the task.
    """

    __test__ = False

    def __init__(
        self,
        out_dir: str,
        roots: Sequence[str] = (),
        count: int = 20,
        score_threshold: float = 0.5,
        task: str = 'detection',
    ) -> None:
        self.out_dir = Path(out_dir)
        self.roots = [Path(root).absolute() for root in roots]
        self.count = count
        self.score_threshold = score_threshold
        self.task = task_named(task)
        self._written: set[Path] = set()

    def before_test(self, runner) -> None:
        self._written.clear()

    def after_test_iter(
        self, runner, batch_idx: int, data_batch: dict | None = None, outputs: Sequence | None = None
    ) -> None:
        for sample in outputs or ():
            if len(self._written) >= self.count:
                return
            source = Path(sample.img_path)
            image = mmcv.imread(str(source), channel_order='rgb')
            meta = runner.visualizer.dataset_meta
            drawn = self.task.draw_comparison(image, sample.cpu(), meta, self.score_threshold)
            place = self._place(source.absolute())
            write_png(place, drawn)
            self._written.add(place)

    def _place(self, source: Path) -> Path:
        """Where a picture's drawing goes: no other's place, nor its own.

        Raises:
            UserError: it would take the place of the picture.
        """
        root = next((root for root in self.roots if source.is_relative_to(root)), source.parent)
        name = self.out_dir / source.relative_to(root)
        places = (name.with_suffix('.png'), name.with_name(f'{name.name}.png'))
        place = next((place for place in places if place not in self._written), places[1])
        if place.resolve() == source.resolve():
            raise UserError(f'{source} would be overwritten by its own drawing. Name another --show-dir.')
        return place

    def after_test(self, runner) -> None:
        print_log(f'{len(self._written)} pictures (ground truth, predictions) in {self.out_dir}', runner.logger)
