"""What a test pipeline does to a picture before the network, for whoever runs it without the pipeline."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..data.resizing import kind_of
from ..errors import UserError
from ..runtime.metadata import Resizing

_ANNOTATIONS = ('LoadAnnotations', 'LoadPanopticAnnotations', 'LoadSegmentationMap')
_PACKING = ('PackDetInputs', 'PackSegInputs')


def resizing_of(pipeline: Sequence[Mapping[str, Any]]) -> Resizing:
    """How the test pipeline of a config resizes pictures.

    Args:
        pipeline: its steps, which begin with a picture in BGR.

    Raises:
        UserError: a step does what :class:`..runtime.metadata.Resizing` has no words for.
    """
    resizing = None
    for place, step in enumerate(pipeline):
        kind = kind_of(step)
        if kind in _ANNOTATIONS + _PACKING:
            continue
        if kind == 'Resize' and resizing is None and _is_plain(step):
            resizing = Resizing(_scale(step['scale']), step.get('keep_ratio', False))
        elif not _LEAVES_PICTURES.get(kind, lambda step: False)(step):
            options = ', '.join(f'{name}={value!r}' for name, value in step.items() if name != 'type')
            raise UserError(
                f'Step {place} of the test pipeline, {kind}({options}), cannot be told to whoever runs an exported '
                'file: one Resize(scale=(width, height), keep_ratio=...) can. Set test_dataloader.dataset.pipeline.'
            )
    return resizing or Resizing()


def _is_plain(step: Mapping[str, Any]) -> bool:
    """Bilinear, by OpenCV, to a scale."""
    usual = step.get('interpolation', 'bilinear') == 'bilinear' and step.get('backend', 'cv2') == 'cv2'
    return usual and step.get('scale') is not None


def _scale(value: Any) -> tuple[int, int]:
    width, height = value if isinstance(value, Sequence) else (value, value)
    return width, height


#: Steps that may leave a picture as it is, and whether they do.
_LEAVES_PICTURES: Mapping[str, Callable[[Mapping[str, Any]], bool]] = {
    'LoadImageFromFile': lambda step: step.get('color_type', 'color') == 'color',
    'ResizeToMultiple': lambda step: step.get('size_divisor', 32) == 1,
}
