"""Converting a checkpoint file from any layout that is known to one that can be written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..backbones.edgevit import EdgeViT
from ..backbones.efficientformer_v1 import EfficientFormerV1
from ..backbones.efficientformer_v2 import EfficientFormerV2
from ..errors import UserError, choice_error
from ..files import check_output_file, make_output_dir, write_atomically
from ..variants import Variant
from .layouts import Layout, Naming, detect_naming, from_native_with_rest, identify_variant, naming_of, to_native
from .layouts.timm import fresh_norm
from .read import read_file
from .report import load_report
from .unwrap import Found, check_tensors, describe_rest, find_backbone, take, weights_in
from .whole_model import find_checkpoint
from .write import write_torch

_BACKBONES = {cls.__name__: cls for cls in (EfficientFormerV1, EfficientFormerV2, EdgeViT)}
SUFFIXES = ('.pth', '.safetensors')


@dataclass(frozen=True)
class Conversion:
    """Converted weights, and what became of the entries.

    Attributes:
        weights: in the new layout.
        variant: whose they are.
        source, target: layouts.
        left_out: {key of the file: reason}.
        added: entries that the file did not have.
    """

    weights: dict[str, Tensor]
    variant: Variant
    source: Layout
    target: Layout
    left_out: dict[str, str] = field(default_factory=dict)
    added: list[str] = field(default_factory=list)

    def summary(self) -> str:
        """Report of several lines."""
        size = sum(value.numel() for value in self.weights.values())
        lines = [
            f'{self.variant.name}, from the layout {self.source.value} to {self.target.value}',
            f'{len(self.weights)} entries written, {size / 1e6:.1f} M values',
        ]
        lines += [f'{count} left out: {reason}' for reason, count in sorted(Counter(self.left_out.values()).items())]
        if self.added:
            lines.append(f'{len(self.added)} added: {", ".join(self.added)}')
        return '\n'.join(lines)


def convert_file(
    source: Path, destination: Path, target: Layout = Layout.NATIVE, prefix: str | None = None, trust: bool = False
) -> Conversion:
    """Convert a file.

    Args:
        source: file of any known layout, torch's format or safetensors; or the work dir of a training: its last one.
        destination: ``.pth`` or ``.safetensors``; replaced if it is there.
        target: one of :data:`.layouts.TARGETS`.
        prefix: where the backbone is, for a file that holds several; None to look for it.
        trust: see :func:`.read.read_file`.

    Raises:
        UserError, MissingFileError: see :func:`.read.read_file` and :func:`convert`; a ``destination`` of another
            type, that cannot be written, or that is ``source``.
    """
    if not destination.suffix:
        raise UserError(f'{destination} has no ending: {" or ".join(SUFFIXES)} says what is to be written.')
    if destination.suffix not in SUFFIXES:
        raise choice_error('Ending of the converted file', destination.suffix, SUFFIXES)
    check_output_file(destination)
    source = find_checkpoint(source) if source.is_dir() else source
    if destination.exists() and destination.samefile(source):
        raise UserError(f'{destination} is the file to convert: write to another one.')
    content = read_file(source, trust=trust)
    try:
        if not isinstance(content, Mapping):
            raise UserError(f'it holds a {type(content).__name__}, not weights by name.')
        conversion = convert(content, target, prefix)
    except ValueError as error:
        raise UserError(f'{source}: {error}') from error
    make_output_dir(destination.parent)
    write_atomically(destination, lambda scratch: _save(conversion, scratch, destination.suffix))
    return conversion


def convert(content: Mapping[str, Any], target: Layout, prefix: str | None = None) -> Conversion:
    """Convert what a file holds; arguments as of :func:`convert_file`.

    A classifier goes along to timm and the published code, the rest of a detector or segmentor to our layout. timm's
    models end in a norm; where the file has none, it is added as timm initialises it.

    Raises:
        UserError: no backbone, several, one of no published size, with entries missing or left over, or, for timm, with
            tables of another grid than 7.
    """
    weights = weights_in(content)
    found = find_backbone(weights) if prefix is None else take(weights, prefix)
    source = None if found is None else detect_naming(found.backbone)
    if found is None or source is None:
        sample = ', '.join(list(weights)[:5])
        place = '' if prefix is None else f' under {prefix!r}'
        raise UserError(f'no EfficientFormer or EdgeViT{place} among its {len(weights)} entries ({sample}, ...).')
    check_tensors(found.backbone)
    native, ignored = to_native(found.backbone)
    variant = _checked_variant(native, target)
    left_out = {found.prefix + key: reason for key, reason in ignored.items()} | describe_rest(found.rest)
    converted, without_place = from_native_with_rest(native, variant, target)
    kept, added = _company(found, left_out, variant, source, target)
    if target is Layout.NATIVE and kept:
        converted = {found.prefix + key: value for key, value in converted.items()}
    left_out |= without_place
    return Conversion({**converted, **kept}, variant, source.layout, target, left_out, added)


def _checked_variant(native: Mapping[str, Tensor], target: Layout) -> Variant:
    """Variant of weights that hold all of it and nothing else, and that the target has a place for."""
    variant = identify_variant(native)
    if variant is None:
        raise UserError('its widths and depths are those of no published size of EfficientFormer or EdgeViT.')
    with torch.device('meta'):
        expected = _BACKBONES[variant.family](
            arch=variant.arch, out_norm=any(key.startswith('out_norms.') for key in native)
        )
    report = load_report(native, expected.state_dict())
    # Fewer output norms than stages: out_indices.
    missing = [key for key in report.missing if not key.startswith('out_norms.')]
    if missing or report.unexpected or report.mismatched:
        raise UserError(f'it is no whole {variant.name}: {report.summary()}')
    if target is Layout.TIMM and report.resized:
        shapes = next(iter(report.resized.values()))
        raise UserError(
            f"its bias tables are of another grid than timm's ({shapes}), which has no place for them. Our own layout "
            'has; a model with bias_grid=7 resizes them when it loads them, and can be converted then.'
        )
    return variant


def _company(
    found: Found, left_out: dict[str, str], variant: Variant, source: Naming, target: Layout
) -> tuple[dict[str, Tensor], list[str]]:
    """What goes along with the backbone, taken out of ``left_out``; and the names of what is added."""
    candidates = {found.prefix + key: value for key, value in found.backbone.items()} | found.rest
    classifier = _classifier(left_out, source, naming_of(variant, target))
    if target is Layout.NATIVE:
        rest = [key for key, value in found.rest.items() if key not in classifier and isinstance(value, Tensor)]
        along = {key: key for key in rest if found.prefix and left_out[key].startswith('outside')}
    else:
        along = classifier
    kept = {}
    for key, name in along.items():
        kept[name] = candidates[key]
        del left_out[key]
    added = fresh_norm(variant) if target is Layout.TIMM and 'norm.weight' not in kept else {}
    return {**kept, **added}, list(added)


def _classifier(keys: Iterable[str], source: Naming, target: Naming) -> dict[str, str]:
    """{key of the file: name in the new one} for a classifier and the norm before it."""
    both = source.classifier.keys() & target.classifier.keys()
    names = {source.classifier[name]: target.classifier[name] for name in both}
    parts = {key: key.rpartition('.') for key in keys}
    return {key: f'{names[part]}.{leaf}' for key, (part, _, leaf) in parts.items() if part in names}


def _save(conversion: Conversion, path: Path, suffix: str) -> None:
    weights = {key: value.detach().contiguous().clone() for key, value in conversion.weights.items()}
    if suffix == '.safetensors':
        from safetensors.torch import save_file

        save_file(weights, path, metadata={'format': 'pt'})
    else:
        write_torch({'model': weights} if conversion.target is Layout.OFFICIAL else weights, path)
