"""The hook between ``load_state_dict`` and the backbones: any known layout in, ours out, or a clear error."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import torch
from mmengine.logging import print_log
from torch import Tensor, nn

from ..backbones.base import DenseBackbone
from ..errors import UserError
from ..rows import structure
from .layouts import identify_variant, to_native
from .report import LoadReport, load_report
from .unwrap import check_tensors, describe_rest, find_backbone, weights_in


def adapt_state_dict(backbone: DenseBackbone, state_dict: dict[str, Tensor], prefix: str) -> None:
    """Rewrite the entries under ``prefix`` into the layout of ``backbone``, in place.

    Runs inside ``load_state_dict``, hence also under MMEngine's ``Pretrained``, ``load_from``, ``resume`` and
    ``init_detector``, and with the backbone at any place of a larger model. A backbone alone also takes files that
    have it under a prefix: classifiers, whole detectors and segmentors.

    Raises:
        UserError: weights of another variant, of no layout that we know, that do not fit, or that leave a part of
            the backbone without weights, whatever ``strict`` says.
    """
    report = _rewrite(backbone, state_dict, prefix)
    if report is not None:
        level = logging.WARNING if report.missing else logging.INFO
        print_log(f'{backbone.variant.name}: {report.summary()}', logger='current', level=level)


def report_whole(model: nn.Module, state_dict: Mapping[str, Tensor]) -> LoadReport:
    """What loading ``state_dict`` does to each entry of a detector or segmentor.

    Its backbones are compared as they are loaded, in our layout, whatever layout the file has them in.

    Raises:
        UserError: see :func:`adapt_state_dict`.
    """
    adapted = dict(state_dict)
    for name, module in model.named_modules():
        if isinstance(module, DenseBackbone):
            _rewrite(module, adapted, f'{name}.' if name else '')
    return load_report(adapted, model.state_dict())


def _rewrite(backbone: DenseBackbone, state_dict: dict[str, Tensor], prefix: str) -> LoadReport | None:
    """Bring the entries under ``prefix`` into our layout, in place; None if there are none."""
    own = {key.removeprefix(prefix): value for key, value in state_dict.items() if key.startswith(prefix)}
    if not own:
        return None  # whether that is an error, the caller's `strict` decides
    native, report = match(backbone, own)
    for key in own:
        del state_dict[prefix + key]
    state_dict.update({prefix + key: value for key, value in native.items()})
    return report


def match(backbone: DenseBackbone, content: Mapping[str, object]) -> tuple[dict[str, Tensor], LoadReport]:
    """Entries for a backbone in our layout, tables not yet resized, and what becomes of every entry of ``content``.

    Raises:
        UserError: see :func:`adapt_state_dict`.
    """
    weights = weights_in(content)
    expected = backbone.state_dict()
    found = find_backbone(weights)
    ignored: dict[str, str] = {}
    if found is None:
        if not any(key in weights for key in expected):
            raise UserError(_describe_foreign(weights, backbone))
        native = dict(weights)  # ours, and not all of it
    else:
        check_tensors(found.backbone)
        native, ignored = to_native(found.backbone)
        ignored.update(describe_rest(found.rest))
    for key in [key for key in native if key.startswith('out_norms.') and key not in expected]:
        del native[key]
        ignored[key] = 'output norms that out_norm and out_indices of the backbone leave out'
    report = load_report(native, expected, ignored)
    unexplained = [key for key in report.missing if not key.startswith('out_norms.')]  # ImageNet files have none
    if report.mismatched or report.unexpected or unexplained:
        # Only now: a network of one's own may have the widths and depths of a published one.
        variant = identify_variant(native)
        if variant is not None and structure(variant) != structure(backbone.variant):
            raise UserError(
                f'These weights are of {variant.name}, and the backbone is {backbone.variant.name}. '
                f"Set arch='{variant.arch}' (type='{variant.family}') or load the other file."
            )
        raise UserError(f'Weights do not fit {backbone.variant.name}: {report.summary()}')
    _tell_if_ambiguous(backbone, native)
    return native, report


def _tell_if_ambiguous(backbone: DenseBackbone, native: Mapping[str, Tensor]) -> None:
    """Warn of weights that fit a published network as well, of which entries cannot tell the difference."""
    variant = identify_variant(native)
    if (
        variant is None
        or variant.family != type(backbone).__name__
        or structure(variant) == structure(backbone.variant)
    ):
        return
    with torch.device('meta'):
        published = type(backbone)(arch=variant.arch, out_norm=backbone.out_norm)  # type: ignore[call-arg]
    report = load_report(native, published.state_dict())
    if not (report.mismatched or report.unexpected):
        print_log(
            f'These weights fit {variant.name} as well as {backbone.variant.name}: they may have been trained as that.',
            logger='current',
            level=logging.WARNING,
        )


def _describe_foreign(weights: Mapping[str, Tensor], backbone: DenseBackbone) -> str:
    """Weights of which not one is ours would leave the backbone as it was started, at random."""
    sample = ', '.join(list(weights)[:3])
    return f'None of these {len(weights)} entries ({sample}, ...) is of {backbone.variant.name}.'
