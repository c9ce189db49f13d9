"""What a study leaves in its folder: JSON, tables and pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ...files import write_atomically, write_text
from .plots import plot_accuracy, plot_tables
from .results import collect
from .scores import Scores
from .tables import to_markdown


def write_report(scores: Scores) -> dict[str, Any]:
    """Write ``results.json``, ``tables.md`` and plots to the study's folder.

    Returns:
        What stands in ``results.json``.
    """
    results, folder = collect(scores), scores.folder
    write_text(folder / 'results.json', json.dumps(results, indent=1))
    write_text(folder / 'tables.md', to_markdown(results))
    write_atomically(folder / 'accuracy.png', lambda path: plot_accuracy(scores).savefig(path, dpi=110))
    net = _weights(scores)
    if net is not None:
        figure = plot_tables(net)
        write_atomically(folder / 'tables.png', lambda path: figure.savefig(path, dpi=110))
    return results


def _weights(scores: Scores) -> Path | None:
    """Weights of a net; None where the scores alone have been brought here."""
    places = (scores.folder / f'seed_{seed}' / 'trained.pth' for seed in scores.seeds)
    return next((place for place in places if place.exists()), None)
