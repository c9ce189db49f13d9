"""Weights of a model of timm from whatever file holds them: timm's own, a detector's, a segmentor's."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping

from mmengine.logging import print_log
from torch import Tensor

from ..backbones.timm_features import TimmFeatures
from ..errors import UserError, some_of
from .unwrap import weights_in

_OWN = 'model.'
#: Counters, which some files leave out.
_OPTIONAL = 'num_batches_tracked'


def adapt_timm(backbone: TimmFeatures, state_dict: dict[str, Tensor], prefix: str) -> None:
    """Bring weights for a backbone alone under its own names, in place; a larger model has them as it wants them.

    Runs inside ``load_state_dict``, hence under MMEngine's ``Pretrained`` too.

    Raises:
        UserError: none of the entries is of the model, or some of its layers have none, whatever ``strict`` says.
    """
    expected = list(backbone.state_dict())
    if prefix or not state_dict or all(key in state_dict for key in expected):
        return
    weights = weights_in(state_dict)
    names = max((_names(expected, weights, before) for before in _prefixes(weights)), key=len)
    missing = [key for key in expected if key.startswith(_OWN) and not key.endswith(_OPTIONAL) and key not in names]
    if not names or missing:
        held = f'{len(weights)} entries ({some_of(weights, 3)})'
        lack = f'lack {some_of(missing, 3)}' if names else 'have none that it has'
        raise UserError(f"These {held} are no weights of timm's {backbone.model_name}: they {lack}.")
    report = f'{len(names)} of {len(expected)} entries are in the file, of {len(weights)} that it holds.'
    print_log(f'{backbone.model_name}: {report}', logger='current', level=logging.INFO)
    state_dict.clear()
    state_dict.update({key: weights[name] for key, name in names.items()})


def _prefixes(names: Iterable[str]) -> list[str]:
    """Whatever may come before the names of a backbone's entries: '', 'backbone.', 'student.backbone.'."""
    found = {''}
    for name in names:
        parts = name.split('.')
        found |= {'.'.join(parts[:count]) + '.' for count in range(1, min(len(parts), 5))}
    return sorted(found, key=len)


def _names(expected: Iterable[str], weights: Mapping[str, Tensor], prefix: str) -> dict[str, str]:
    """{own name: name in the file} where the file has the backbone, or timm's model alone, under a prefix."""
    found = {}
    for key in expected:
        for name in (prefix + key, prefix + key.removeprefix(_OWN)):
            if name in weights:
                found[key] = name
                break
    return found
