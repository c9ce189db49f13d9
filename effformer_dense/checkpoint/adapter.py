"""The hook between ``load_state_dict`` and the backbones: any known layout in, ours out, or a clear error."""

from __future__ import annotations

import logging
from collections.abc import Mapping

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
        ValueError: weights of another variant, of no layout that we know, or with shapes that do not fit.
    """
    own = {key.removeprefix(prefix): value for key, value in state_dict.items() if key.startswith(prefix)}
    if isinstance(own.get('model'), Mapping):  # the published code saves its weights so
        own = state_dict.pop(prefix + 'model')
        state_dict.update({prefix + key: value for key, value in own.items()})
    if not own:
        return  # nothing for us: whether that is an error, the caller's `strict` decides
    if detect_layout(own) is None:
        _refuse_foreign(own, backbone)
        return
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


def _refuse_foreign(own: Mapping[str, Tensor], backbone: DenseBackbone) -> None:
    """Weights of which not one is ours would leave the backbone as it was started, at random."""
    if any(key in own for key in backbone.state_dict()):
        return
    hint = ''
    if any(key.startswith('backbone.') for key in own):
        hint = " It is a whole detector or segmentor: add prefix='backbone.' to init_cfg, or use load_from."
    sample = ', '.join(list(own)[:3])
    raise ValueError(f'None of these {len(own)} entries ({sample}, ...) is of {backbone.variant.name}.{hint}')
