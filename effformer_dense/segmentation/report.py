"""Scores as a table to read, as JSON and as CSV."""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..files import write_text
from .scores import Scores

JSON_NAME, CSV_NAME = 'scores.json', 'scores.csv'


def score_rows(scores: Scores) -> list[dict[str, Any]]:
    """One row per class; IoU and Acc are None where they are not defined."""
    counts = scores.counts
    names = zip(scores.labels, scores.classes, strict=True)
    columns = zip(names, scores.iou, scores.accuracy, counts.annotated, counts.predicted, counts.correct, strict=True)
    return [
        {
            'label': label,
            'name': name,
            'IoU': None if math.isnan(iou) else float(iou),
            'Acc': None if math.isnan(accuracy) else float(accuracy),
            'annotated_px': int(annotated),
            'predicted_px': int(predicted),
            'correct_px': int(correct),
        }
        for (label, name), iou, accuracy, annotated, predicted, correct in columns
    ]


def score_table(scores: Scores) -> str:
    """Per-class table in percent, and below it the means and what they leave out.

    Raises:
        UserError: no pixel is annotated.
    """
    table = Table(box=box.ASCII)  # logs and pipes are not always UTF-8
    for name in ('label', 'class', 'IoU %', 'Acc %', 'annotated px'):
        table.add_column(name, justify='left' if name == 'class' else 'right')
    for row in score_rows(scores):
        percents = ['-' if row[key] is None else f'{100 * row[key]:.2f}' for key in ('IoU', 'Acc')]
        table.add_row(str(row['label']), Text(row['name']), *percents, f'{row["annotated_px"]:,}')
    text = io.StringIO()
    Console(file=text, width=100).print(table)
    return f'{text.getvalue()}{score_lines(scores)}'


def score_lines(scores: Scores) -> str:
    """The means, in percent, and over how many classes and pictures.

    Raises:
        UserError: no pixel is annotated.
    """
    summary = scores.summary()
    total, left_out = len(scores.classes), scores.num_left_out
    means = ', '.join(f'{name} {100 * value:.2f} %' for name, value in summary.items())
    return (
        f'{means}\nOver {scores.num_pictures} pictures. mIoU over {total - left_out} of {total} classes: '
        f'{left_out} left out of the mean, in neither annotations nor predictions. '
        f'mAcc over the {scores.num_annotated} annotated ones.'
    )


def write_scores(scores: Scores, folder: Path, source: dict[str, Any]) -> tuple[Path, Path]:
    """Write ``scores.json`` (means, counts, classes) and ``scores.csv`` (classes) into ``folder``.

    Args:
        scores: of a data set.
        folder: is made.
        source: what they are scores of, for the JSON.

    Raises:
        UserError: no pixel is annotated.
    """
    rows = score_rows(scores)
    table = {
        'source': source,
        **scores.summary(),
        'num_pictures': scores.num_pictures,
        'num_classes': len(scores.classes),
        'num_classes_left_out': scores.num_left_out,
        'num_classes_annotated': scores.num_annotated,
        'classes': rows,
    }
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    json_path, csv_path = folder / JSON_NAME, folder / CSV_NAME
    write_text(json_path, json.dumps(table, indent=2) + '\n')
    write_text(csv_path, text.getvalue())
    return json_path, csv_path
