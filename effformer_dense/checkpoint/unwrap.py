"""Finding a backbone in what a file holds: under names of its own, under prefixes, beside other parts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..errors import UserError
from ..invocation import command
from .layouts import backbone_prefixes

#: Where programs keep the weights in their files. MMEngine and timm; the published code; lightning-like trainers.
_WRAPPERS = ('state_dict', 'model', 'model_state_dict', 'module', 'net')
#: What wrappers put before every name: DataParallel, torch.compile.
_NAME_WRAPPERS = re.compile(r'^(?:(?:module|_orig_mod)\.)+')
_AVERAGE = re.compile(r'(?:^|[._])(?:ema|teacher|averaged?)(?:[._]|$)')
MAX_ENTRIES = 100_000


@dataclass(frozen=True)
class Found:
    """A backbone among other entries.

    Attributes:
        backbone: its entries, without prefix.
        prefix: where it was, '' or with a dot at the end.
        rest: all other entries.
    """

    backbone: dict[str, Tensor]
    prefix: str
    rest: dict[str, Tensor]


def weights_in(content: Mapping[str, Any]) -> dict[str, Tensor]:
    """The weights in what a checkpoint file holds, without the names that wrappers put before each.

    Args:
        content: weights themselves, or a mapping that has them under ``state_dict``, ``model`` or the like. Averages
            beside them (``model_ema``, ``ema_state_dict``) are not taken.

    Raises:
        UserError: no weights there, far too many entries, names that are no texts, or the same name twice.
    """
    content = _innermost(content)
    if len(content) > MAX_ENTRIES:
        raise UserError(f'There are {len(content):,} entries; networks have some hundreds.')
    weights: dict[str, Tensor] = {}
    for key, value in content.items():
        if not isinstance(key, str):
            raise UserError(f'Entry {key!r} of the weights is named by a {type(key).__name__}, not by a text.')
        name = _NAME_WRAPPERS.sub('', key)
        if name in weights:
            raise UserError(f'{key} is there twice, with and without the prefix of a wrapper (module., _orig_mod.).')
        weights[name] = value
    if not any(isinstance(value, Tensor) for value in weights.values()):
        raise UserError(f'No weights are there; the entries are {_sample(weights)}.')
    return weights


def versions_in(content: Mapping[str, Any]) -> dict[str, Any]:
    """What torch notes of the modules beside weights, by their names; empty where it is lost.

    Some modules read their own older layouts, and take a file without versions for one of those.
    """
    noted = getattr(_innermost(content), '_metadata', None) or {}
    return {_NAME_WRAPPERS.sub('', f'{name}.').rstrip('.'): value for name, value in noted.items()}


def find_backbone(weights: Mapping[str, Tensor]) -> Found | None:
    """The one backbone among weights; None if there is none of a layout that we know.

    Copies that hold averages (``ema``, ``teacher``) are passed over where there is another.

    Raises:
        UserError: several backbones.
    """
    prefixes = backbone_prefixes(weights)
    if not prefixes:
        return None
    live = [prefix for prefix in prefixes if not _AVERAGE.search(prefix)] or prefixes
    if len(live) > 1:
        raise UserError(
            f'There are {len(live)} backbones, under {", ".join(map(repr, live))}. '
            f'Say which one: prefix=... in init_cfg, or --prefix of {command("convert")}.'
        )
    return take(weights, live[0])


def take(weights: Mapping[str, Tensor], prefix: str) -> Found:
    """The entries under a prefix, and the rest; at the top of a file, what is plainly an average is rest."""
    backbone, rest = {}, {}
    for key, value in weights.items():
        inside = key.startswith(prefix) and (prefix or not _AVERAGE.match(key))
        if inside:
            backbone[key[len(prefix) :]] = value
        else:
            rest[key] = value
    return Found(backbone, prefix, rest)


def check_tensors(weights: Mapping[str, Any]) -> None:
    """Entries that a network can hold: dense tensors, of finite floating-point numbers but for counters.

    Raises:
        UserError: others, named.
    """
    for key, value in weights.items():
        if not isinstance(value, Tensor):
            raise UserError(f'{key} is a {type(value).__name__}, not a tensor.')
        if value.layout is not torch.strided or value.is_quantized or value.is_complex() or value.is_meta:
            raise UserError(f'{key} is no dense tensor of real numbers (layout {value.layout}, {value.dtype}).')
        if _is_counter(key):
            continue
        if not value.is_floating_point():
            raise UserError(f'{key} holds {value.dtype}; weights must be floating-point numbers.')
        if not torch.isfinite(value).all():
            bad = int((~torch.isfinite(value)).sum())
            raise UserError(f'{key} holds {bad} values that are NaN or infinite: these weights come from a broken run.')


def describe_rest(rest: Mapping[str, Tensor]) -> dict[str, str]:
    """{key: reason} for entries beside a backbone."""
    return {
        key: 'an average of the weights' if _AVERAGE.search(key) else f'outside the backbone: {key.split(".")[0]}'
        for key in rest
    }


def _innermost(content: Mapping[str, Any]) -> Mapping[str, Any]:
    """What programs keep under a name of theirs, or under several, one in the other."""
    for _ in range(3):
        inner = next((content[name] for name in _WRAPPERS if isinstance(content.get(name), Mapping)), None)
        if inner is None:
            break
        content = inner
    return content


def _is_counter(key: str) -> bool:
    return key.endswith(('num_batches_tracked', 'attention_bias_idxs', 'attention_bias_idxs_seg'))


def _sample(entries: Mapping[str, object]) -> str:
    names = ', '.join(list(entries)[:5]) or 'none'
    return f'{names}, ...' if len(entries) > 5 else names
