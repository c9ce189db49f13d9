"""What a study found, as numbers: what stands in ``results.json``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, replace
from typing import Any

from ..estimates import Estimate, estimate
from .evaluation import Contender, contenders, read_counts
from .scores import Scores, Size, tuned_contenders
from .settings import ARMS, BASE_SIZE, DEFAULT
from .statistics import TASKS, decide, miou

_REFERENCES = ('matrix', 'bicubic')
#: No defaults: one is for published weights, the other for studies.
_NO_DEFAULTS = ('matrix', 'zero', DEFAULT)


def collect(scores: Scores) -> dict[str, Any]:
    """All that a study's scores say, of types that JSON has."""
    return dict(
        settings=asdict(scores.settings),
        nets=dict(scores.nets),
        control=_control(scores),
        main=list(_main(scores)),
        arms=list(_arms(scores)),
        tuned=list(_tuned(scores)),
        decision=asdict(_decision(scores)),
    )


def _control(scores: Scores) -> dict[str, Any]:
    """With the bias and without, where nets were trained: all seeds, and each."""
    found: dict[str, Any] = {}
    for mode in (DEFAULT, 'zero'):
        for task in TASKS:
            found[f'{task} {mode}'] = asdict(estimate(scores.at(Contender(mode), 'canvas', BASE_SIZE, task)))
            counts = read_counts(scores.folder, scores.seeds, Contender(mode), 'canvas', BASE_SIZE)
            found[f'{task} {mode}']['seeds'] = miou(counts.sum(axis=1), task).tolist()
    return found


def _main(scores: Scores) -> Iterable[dict[str, Any]]:
    for arm in ARMS:
        for size in scores.settings.sizes:
            for contender in contenders(scores.settings):
                yield _row(scores, contender, arm, size)


def _row(scores: Scores, contender: Contender, arm: str, size: Size) -> dict[str, Any]:
    """Scores of a contender at a size; differences to those that had the same fine-tuning."""
    row: dict[str, Any] = dict(arm=arm, size=list(size), **asdict(contender))
    for task in TASKS:
        row[task] = asdict(estimate(scores.at(contender, arm, size, task)))
    for mode in _REFERENCES:
        reference = Contender(mode, None, contender.tuned)
        if contender.tuned and not scores.has_tuned(reference):
            continue
        row[f'where - {mode}'] = asdict(estimate(scores.at(contender, arm, size) - scores.at(reference, arm, size)))
    return row


def _arms(scores: Scores) -> Iterable[dict[str, Any]]:
    for arm in ARMS:
        for contender in contenders(scores.settings):
            mean = scores.over_arm(contender, arm)
            row: dict[str, Any] = dict(arm=arm, **asdict(contender), where=asdict(estimate(mean)))
            for mode in _REFERENCES:
                row[f'where - {mode}'] = asdict(estimate(mean - scores.over_arm(Contender(mode), arm)))
            yield row


def _tuned(scores: Scores) -> Iterable[dict[str, Any]]:
    """Of the contenders that all nets have been tuned with so far."""
    size = scores.settings.tuned_size
    for steps in scores.settings.tuned_steps:
        for contender in (replace(one, tuned=steps) for one in tuned_contenders(scores)):
            if scores.has_tuned(contender):
                yield _row(scores, contender, 'canvas', size)


def _decision(scores: Scores) -> Any:
    modes = [mode for mode in scores.settings.modes if mode not in _NO_DEFAULTS]

    def difference(a: Contender, b: Contender) -> dict[str, Estimate]:
        return {arm: estimate(scores.over_arm(a, arm) - scores.over_arm(b, arm)) for arm in ARMS}

    to_default = {mode: difference(Contender(mode), Contender(DEFAULT)) for mode in modes}
    of_scale = {mode: difference(Contender(mode, 'log_tokens'), Contender(mode)) for mode in [DEFAULT, *modes]}
    of_mean = {mode: difference(Contender(mode, talking='mean'), Contender(mode)) for mode in [DEFAULT, *modes]}
    return decide(to_default, of_scale, of_mean, DEFAULT)
