"""Configs of a study's networks."""

from __future__ import annotations

from pathlib import Path

from mmengine.config import Config

from ...files import write_text
from ...rows import to_arch
from ...search.result import set_widths
from ...search.space import State


def config_of(task: Config, state: State, place: Path) -> Path:
    """Write the task's config with a state's network, with weights that were not trained."""
    cfg = task.copy()
    cfg.model.backbone.arch = to_arch(state.row)
    set_widths(cfg.model, state.row.widths)
    cfg.pop('search', None)
    write_text(place, cfg.pretty_text)
    return place
