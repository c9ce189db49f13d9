"""What a benchmark can name: our variants, models of timm, configs."""

from __future__ import annotations

import difflib

from ..config.home import find_config
from ..errors import UserError, choice_error
from ..variants import ALL_VARIANTS, Variant

#: Before the names of timm's models, for some are called as ours are.
TIMM_PREFIX = 'timm/'


def variant_names() -> dict[str, Variant]:
    """'v1_l1' ... 'edgevit_s' to their rows."""
    return {row.key: row for row in ALL_VARIANTS}


def is_config(model: str) -> bool:
    """Whether ``model`` is a path rather than a variant."""
    return model.endswith('.py')


def is_timm(model: str) -> bool:
    """Whether ``model`` names one of timm's, as :func:`find_model` has it."""
    return model.startswith(TIMM_PREFIX)


def find_model(name: str) -> str:
    """The name by which a benchmark knows what a user names.

    Args:
        name: key of a variant, path of a config, or one of ``timm.list_models()``, with ``timm/`` before it or without.

    Raises:
        UserError: nothing is called so; the nearest names are given.
    """
    if is_config(name):
        if find_config(name) is None:
            raise UserError(f'Config {name} is not there.')
        return name
    if name in variant_names():
        return name
    bare = name.removeprefix(TIMM_PREFIX)
    known = _timm_models()
    if bare in known:
        return TIMM_PREFIX + bare
    near = difflib.get_close_matches(bare, known, n=3)
    raise choice_error('model', name, [*variant_names(), *near, 'another of timm', 'a config (.py)'])


def _timm_models() -> list[str]:
    try:
        import timm  # only who compares needs it
    except ImportError:
        return []
    return timm.list_models()
