"""The hook between ``load_state_dict`` and the backbones: any known layout in, ours out, or a clear error."""

from __future__ import annotations

import logging

from mmengine.logging import print_log
from torch import Tensor

from ..backbones.base import DenseBackbone
from .layouts import detect_layout, identify_variant, to_native
from .report import load_report


def adapt_state_dict(backbone: DenseBackbone, state_dict: dict[str, Tensor], prefix: str) -> None:
    """Rewrite the entries under ``prefix`` into the layout of ``backbone``, in place.

    Runs inside ``load_state_dict``, hence also under MMEngine's ``Pretrained``, ``load_from`` and
    ``init_detector``, and with the backbone at any place of a larger model.

    Raises:
        ValueError: weights of another variant, or with shapes that do not fit.
    """
    own = {key.removeprefix(prefix): value for key, value in state_dict.items() if key.startswith(prefix)}
    if not own or detect_layout(own) is None:
        return  # nothing of ours: whether that is an error, the caller's `strict` decides
    native, ignored = to_native(own)
    variant = identify_variant(native)
    if variant is not None and variant != backbone.variant:
        raise ValueError(
            f'These weights are of {variant.name}, and the backbone is {backbone.variant.name}. '
            f"Set arch='{variant.arch}' (type='EfficientFormerV{variant.generation}') or load the other file."
        )
    report = load_report(native, backbone.state_dict(), ignored)
    if report.mismatched:
        raise ValueError(f'Weights do not fit {backbone.variant.name}: {report.summary()}')
    for key in own:
        del state_dict[prefix + key]
    state_dict.update({prefix + key: value for key, value in native.items()})
    level = logging.WARNING if report.missing or report.unexpected else logging.INFO
    print_log(f'{backbone.variant.name}: {report.summary()}', logger='current', level=level)
