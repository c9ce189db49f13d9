"""A config's metric on the pictures of a search, computed by each process for itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.evaluator import BaseMetric, Evaluator
from mmengine.registry import EVALUATOR

from ..engine.quiet import only_errors
from ..errors import UserError

#: Ends of the metrics' names that are taken where none is named: of segmentors, of detectors with and without masks.
_USUAL = ('mIoU', 'segm_mAP', 'bbox_mAP')


#: Ends of the names of COCO's scores: at one overlap, and of small, medium and large objects.
_COCO = ('', '_50', '_75', '_s', '_m', '_l')


def _prefix(metric: BaseMetric) -> str:
    return f'{metric.prefix}/' if metric.prefix else ''


def _ends(name: str, end: str) -> bool:
    """Whether a metric is meant by the end of its name."""
    return name == end or name.endswith((f'/{end}', f'_{end}'))


class Judge:
    """Collects predictions and tells the metric of them.

    MMEngine's evaluator would gather the results of all processes, each of which scores states of its own.

    Args:
        metrics: config of one or several.
        metainfo: of the data set.
        ids: of its pictures that are predicted; the others do not count as missed.
        wanted: end of a metric's name; None for the usual one of the task.
    """

    def __init__(self, metrics: Any, metainfo: Mapping[str, Any], ids: Sequence[int], wanted: str | None) -> None:
        self._evaluator: Evaluator = EVALUATOR.build(dict(type='Evaluator', metrics=metrics))
        self._evaluator.dataset_meta = dict(metainfo)
        for metric in self._evaluator.metrics:
            if hasattr(metric, 'img_ids'):  # of COCO: all pictures of the file, where nobody says otherwise
                metric.img_ids = list(ids)
        self._wanted = _USUAL if wanted is None else (wanted,)

    @property
    def _could_be(self) -> bool:
        """Whether what is wanted is among the metrics of predictions that are not empty."""
        names = (
            f'{_prefix(metric)}{kind}_mAP{of}'
            for metric in self._evaluator.metrics
            for kind in getattr(metric, 'metrics', ())
            for of in _COCO
        )
        return any(_ends(name, end) for name in names for end in self._wanted)

    def add(self, predictions: Sequence[Any]) -> None:
        """Take in what a model predicts."""
        self._evaluator.process(predictions, None)

    def tell(self) -> float:
        """The metric of all that was taken in since the last time.

        Raises:
            UserError: it is not among those that the config computes.
        """
        metrics: dict[str, float] = {}
        with only_errors():  # COCO's tell of every evaluation
            for metric in self._evaluator.metrics:
                computed = metric.compute_metrics(metric.results)
                metrics.update({f'{_prefix(metric)}{name}': value for name, value in computed.items()})
                metric.results.clear()
        if not metrics and self._could_be:  # COCO's for a detector that finds nothing at all
            return 0.0
        for end in self._wanted:
            for name, value in metrics.items():
                if _ends(name, end):
                    return float(value)
        raise UserError(
            f'The config computes no metric {" or ".join(self._wanted)}: it has {", ".join(metrics) or "others"}. '
            'Name one of them with --score, or loss.'
        )
