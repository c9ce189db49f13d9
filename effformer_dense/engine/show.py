"""Looking at a data set: contact sheets, histograms, one page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.registry import TASK_UTILS

from ..config.datasets import datasets_of
from ..config.nodes import walk
from ..data.resizing import kind_of
from ..data.survey import Survey
from ..errors import UserError
from ..files import check_output_dir, write_atomically, write_png, write_text
from ..options import ConfigOptions, ShowOptions
from ..preflight.arguments import check_arguments
from ..preflight.data import check_folders
from ..reports.histograms import object_sides, plot_histograms
from ..reports.page import Page
from ..reports.sheets import contact_sheets
from ..tasks import Reading, task_of_dataset
from .open import open_config

Sizes = Sequence[tuple[float, float]]


def show(options: ConfigOptions, show_options: ShowOptions) -> Path:
    """Write what the data of a config look like: ``index.html`` and the PNGs that it shows.

    Args:
        options: config; a folder that ``prepare-data own`` wrote stands for the config in it.
        show_options: see there.

    Returns:
        The page.

    Raises:
        UserError: no config there, no data, or a folder that cannot be written.
    """
    options = replace(options, config=_config_in(options.config))
    check_output_dir(show_options.out_dir)
    cfg = open_config(options)
    check_arguments(cfg)
    surveys = _surveys(cfg, Reading(outside_root=options.outside_root, max_pixels=options.max_pixels))
    out_dir = show_options.out_dir
    page = Page(f'Data of {Path(str(cfg.filename)).name}')
    scale = {split: network_scale(cfg, survey.sizes) for split, survey in surveys.items()}
    anchors = anchor_sides(cfg.model)
    histograms = out_dir / 'histograms.png'
    write_atomically(histograms, lambda path: plot_histograms(surveys, path, anchors, scale))
    page.heading('All splits')
    page.table(['class', *surveys], _counts(surveys))
    page.items(_sentences(surveys, anchors, scale))
    page.picture(histograms.name, 'histograms of classes, pictures and objects')
    for split, survey in surveys.items():
        page.heading(f'{split}: {survey.num_pictures:,} pictures')
        page.items(survey.notes)
        for number, sheet in enumerate(contact_sheets(survey, show_options.per_class), start=1):
            name = f'{split}_{number}.png'
            write_png(out_dir / name, sheet.image)
            page.picture(name, sheet.text)
    write_text(out_dir / 'index.html', page.html())
    return out_dir / 'index.html'


def _config_in(path: Path) -> Path:
    """The config itself, or the one in a prepared folder."""
    if not path.is_dir():
        return path
    configs = sorted(path.glob('*.py'))
    if len(configs) != 1:
        what = ', '.join(config.name for config in configs) or 'no config'
        raise UserError(
            f'{path} holds {what}. Show takes a config, or a folder that prepare-data own wrote; for the folder of an '
            f'annotation tool: prepare-data own {path}'
        )
    return configs[0]


def _surveys(cfg: Config, reading: Reading) -> dict[str, Survey]:
    """One per split; splits that are the same data are shown once."""
    surveys: dict[str, Survey] = {}
    seen: set[tuple] = set()
    for split in ('train', 'val', 'test'):
        views = datasets_of(cfg, split)
        for number, view in enumerate(views, start=1):
            source = (view.annotation, tuple(view.folders.values()), tuple(view.classes or ()))
            task = task_of_dataset(view)
            if source in seen or task is None:
                continue
            seen.add(source)
            if view.is_generated:
                view.generate()
            check_folders(view)
            surveys[split if len(views) == 1 else f'{split} {number}'] = task.survey(view, reading)
    if not surveys:
        raise UserError(f'{cfg.filename} has no data set of a task that is known here.')
    return surveys


def _counts(surveys: Mapping[str, Survey]) -> list[list[str]]:
    """Rows of the table: a class, then how many of it each split has."""
    classes = dict.fromkeys(str(name) for survey in surveys.values() for name in survey.classes)
    numbers = [dict(zip(map(str, survey.classes), survey.counts, strict=True)) for survey in surveys.values()]
    return [[name, *(f'{counts.get(name, 0):,}' for counts in numbers)] for name in classes]


def _sentences(surveys: Mapping[str, Survey], anchors: Sizes, scale: Mapping[str, np.ndarray]) -> list[str]:
    """What should be known at a glance."""
    sentences = []
    for split, survey in surveys.items():
        absent = [str(name) for name, count in zip(survey.classes, survey.counts, strict=True) if count == 0]
        if absent:
            sentences.append(f'{split} has nothing of {", ".join(absent)}.')
        sides = object_sides(survey, scale[split])
        if len(sides) and anchors:
            small, large = anchors[0][0] / 2**0.5, anchors[-1][1] * 2**0.5
            share = 100 * float(((sides < small) | (sides > large)).mean())
            sentences.append(
                f'{split}: {share:.1f} % of the objects are smaller than {small:.0f} or larger than {large:.0f} px in '
                "the network's input, where no anchor is of half to twice their area."
            )
    return sentences


def anchor_sides(model: Any) -> list[tuple[float, float]]:
    """Smallest and largest side of a square anchor per level, in px; empty for a model without anchors."""
    for _, node in walk(model):
        if isinstance(node.get('anchor_generator'), dict):
            generator: Any = TASK_UTILS.build(node['anchor_generator'])
            anchors = getattr(generator, 'base_anchors', ())  # points have none
            areas = [(boxes[:, 2:] - boxes[:, :2]).prod(dim=1) for boxes in anchors]
            return [(float(area.min()) ** 0.5, float(area.max()) ** 0.5) for area in areas]
    return []


def network_scale(cfg: Config, sizes: np.ndarray) -> np.ndarray:
    """By how much pictures are enlarged for the network when testing, (P,).

    Args:
        cfg: its first test data set's pipeline counts.
        sizes: height and width, (P, 2).
    """
    views = datasets_of(cfg, 'test') or datasets_of(cfg, 'val')
    step = next((step for view in views for step in view.pipeline if kind_of(step).endswith('Resize')), {})
    scale = step.get('scale')
    if not isinstance(scale, (list, tuple)) or len(scale) != 2:
        return np.ones(len(sizes))
    long, short = max(scale), min(scale)
    return np.minimum(long / sizes.max(axis=1), short / sizes.min(axis=1))
