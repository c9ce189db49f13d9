"""The data of a run, looked through before it starts.

What a framework would misread is read from a copy in the work dir instead; the original is never touched.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import Any

from mmengine.config import Config

from ..config.datasets import DatasetView, dataset_nodes, view
from ..config.nodes import walk
from ..data.border.canonical import write_coco
from ..data.border.findings import Action, Findings
from ..errors import UserError
from ..files import make_output_dir, write_atomically
from ..options import ConfigOptions
from ..tasks import Reading, task_of_dataset
from .progress import progress_bar

#: Folder of a work dir for what is read in place of the original files, and for what was found in them.
FOLDER = 'annotations'
_IN_MEMORY = 1 << 20  # bytes of findings


@dataclass(frozen=True)
class _Part:
    """A data set of a config, and what it is read for."""

    split: str
    node: dict[str, Any]
    dataset: DatasetView
    evaluator: Any

    @property
    def source(self) -> tuple[Any, ...]:
        """Data sets that are read alike have the same."""
        dataset = self.dataset
        folders = tuple(dataset.folders.values())
        return dataset.cls, dataset.annotation, folders, tuple(dataset.classes or ()), self.evaluator is not None


def fit_data(cfg: Config, splits: Sequence[str], options: ConfigOptions) -> list[str]:
    """Look through the data of a run, each once, and let ``cfg`` name a file to be read in place of one that is unfit.

    Args:
        cfg: config that passed :func:`..preflight.run.check_run`.
        splits: the splits that will be read.
        options: limits of what is read.

    Returns:
        One line for each file of which a record is left out or repaired.

    Raises:
        UserError: nothing sensible can be trained or scored.
    """
    lines: list[str] = []
    fitted: dict[tuple[Any, ...], Path | None] = {}
    for part in _parts(cfg, splits):
        if part.source not in fitted:
            fitted[part.source] = _fit(part, Path(cfg.work_dir, FOLDER), options, lines)
        instead = fitted[part.source]
        if instead is not None:
            _replace(cfg, part, instead)
    return lines


def _parts(cfg: Config, splits: Sequence[str]) -> Iterator[_Part]:
    for split in splits:
        loader = cfg.get(f'{split}_dataloader')
        evaluator = None if split == 'train' else cfg.get(f'{split}_evaluator') or {}
        for node in dataset_nodes(loader and loader.dataset):
            yield _Part(split, node, view(node), evaluator)


def _fit(part: _Part, folder: Path, options: ConfigOptions, lines: list[str]) -> Path | None:
    """Look through one data set; returns the file to be read in place of its annotations, None for themselves."""
    task = task_of_dataset(part.dataset)
    if task is None or part.dataset.is_generated:
        return None
    name = f'{part.split}_{sha256(repr(part.source).encode()).hexdigest()[:8]}'
    copy = folder / f'{name}.json'
    with SpooledTemporaryFile(_IN_MEMORY, 'w+', encoding='utf-8') as sink, progress_bar(part.split) as progress:
        findings = Findings(sink)
        reading = Reading(part.evaluator, options.outside_root, options.max_pixels, progress)
        table = task.fit(part.dataset, reading, findings)
        told = _told(findings, table is not None)
        if not told:
            return None
        report = folder / f'{name}.jsonl'
        make_output_dir(folder)
        sink.seek(0)
        write_atomically(report, lambda scratch: _copy(sink, scratch))
        if table is not None:
            write_coco(copy, table)
    how = 'it is read as it is' if table is None else f'{copy} is read instead'
    file = part.dataset.annotation or part.dataset.root
    lines.append(f'{part.split}: {file}: {told}; {how}. All of them: {report}')
    return None if table is None else copy


def _copy(source: Any, path: Path) -> None:
    with path.open('w', encoding='utf-8') as file:
        shutil.copyfileobj(source, file)


def _told(findings: Findings, repaired: bool) -> str:
    """How many records of each kind are left out, repaired or doubtful; '' if none.

    Args:
        findings: of one data set.
        repaired: whether repairs take effect; where a file is read as it is, they do not, and what is left out is what
            a framework leaves out by itself.
    """
    words = {Action.DROPPED: 'left out', Action.REPAIRED: 'repaired', Action.DOUBTFUL: 'doubtful'}
    told = []
    for action, word in words.items():
        kinds = findings.kinds(action)
        if kinds and (repaired or action is not Action.REPAIRED):
            some = ', '.join(_named(findings, action, kind, number) for kind, number in kinds.items())
            told.append(f'{sum(kinds.values()):,} {word} ({some})')
    return '; '.join(told)


def _named(findings: Findings, action: Action, kind: str, number: int) -> str:
    """A kind of findings; a single one that is doubtful, and has to be judged, with its reason."""
    only = findings.only(action, kind) if action is Action.DOUBTFUL else None
    if only is None:
        return f'{kind} {number:,}'
    where = f'{only.file}: ' if Path(only.file).is_file() and not only.record else ''
    return f'{kind} {number:,}: {where}{only.reason}'


def _replace(cfg: Config, part: _Part, instead: Path) -> None:
    """Let a data set, and the metrics that compare with its file, read another.

    Raises:
        UserError: a metric compares with a file of its own.
    """
    file = part.dataset.annotation
    assert file is not None
    absolute = str(instead.absolute())
    part.node['ann_file'] = absolute
    if part.evaluator is None:
        return
    for path, node in walk(cfg[f'{part.split}_evaluator'], f'{part.split}_evaluator'):
        if not isinstance(node.get('ann_file'), str) or Path(node['ann_file']) == instead.absolute():
            continue
        if Path(node['ann_file']).resolve() != file.resolve():
            raise UserError(
                f'{path}.ann_file is {node["ann_file"]}, and the data set has {file}, of which records had to be '
                'changed. Name the same file in both, or prepare them with prepare-data own.'
            )
        node['ann_file'] = absolute
