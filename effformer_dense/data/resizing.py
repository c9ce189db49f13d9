"""What the resizing steps of a data pipeline make of a picture's size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import mmcv

from ..errors import UserError
from ..variants import MIN_SIDE_PX

Pipeline = Sequence[Mapping[str, Any]]


def kind_of(step: Mapping[str, Any]) -> str:
    """Name of the class that a dict of a config stands for, whether its ``type`` is the class, its name, or either with
    scope or module."""
    kind = step.get('type')
    return getattr(kind, '__name__', str(kind)).rpartition('.')[2]


def smallest_size(pipeline: Pipeline, width: int, height: int) -> tuple[int, int]:
    """Width and height of a picture after a pipeline's resizing steps; the smallest, where chance decides.

    Args:
        pipeline: steps of a config, of which mmcv's ``Resize``, ``RandomResize`` and ``RandomChoiceResize`` count.
        width, height: of the picture, in px.
    """
    for step in pipeline:
        kind = kind_of(step)
        options = {**step, **(step.get('resize_kwargs') or {})}
        sizes = [
            mmcv.rescale_size((width, height), scale) if options.get('keep_ratio') else scale
            for scale in _scales(kind, options, width, height)
        ]
        if sizes:
            width, height = min(sizes, key=min)
    return width, height


def check_resized(path: Path, pipeline: Pipeline, width: int, height: int, least: int = MIN_SIDE_PX) -> None:
    """A picture keeps its sides; a very long one, brought to a fixed long side, does not.

    Args:
        path: of the picture.
        pipeline, width, height: as of :func:`smallest_size`.
        least: of a side, in px; 1 where the network pads what it gets.

    Raises:
        UserError: it does not.
    """
    size = smallest_size(pipeline, width, height)
    if min(size) < least:
        raise UserError(
            f'{path}: the pipeline makes {size[0]} x {size[1]} px of its {width} x {height} px; both sides must keep '
            f'{least} px. Cut it into parts, or remove it; or enlarge the scale of the resizing step.'
        )


def _scales(kind: str, options: Mapping[str, Any], width: int, height: int) -> list[tuple[int, int]]:
    """Sizes that a step aims at; none for a step that does not resize."""
    scale, factor = options.get('scale'), options.get('scale_factor')
    if kind == 'Resize' and scale is None and factor is not None:
        across, down = _pair(factor)
        return [(int(width * across + 0.5), int(height * down + 0.5))]  # rounded as mmcv does
    if kind == 'Resize' and scale is not None:
        return [_pair(scale)]
    if kind == 'RandomResize' and scale is not None:
        lowest = min(options.get('ratio_range') or (1.0,))
        ends = scale if isinstance(scale, (list, tuple)) and isinstance(scale[0], (list, tuple)) else [scale]
        return [(int(across * lowest), int(down * lowest)) for across, down in map(_pair, ends)]
    if kind == 'RandomChoiceResize':
        return [_pair(one) for one in options.get('scales') or ()]
    return []


def _pair(value: Any) -> tuple[Any, Any]:
    """Width and height; one number stands for both."""
    return (value[0], value[1]) if isinstance(value, (list, tuple)) else (value, value)
