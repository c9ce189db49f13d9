"""Misspelt arguments and types anywhere in a config, found before anything is built."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterable

from mmengine import registry as registries
from mmengine.config import Config
from mmengine.registry import Registry
from torch.utils.data import DataLoader

from ..config.load import DATALOADERS, EVALUATORS
from ..config.nodes import walk
from ..config.registry import find_component
from ..errors import UserError, choice_error

#: Which registries the components of a part of the config come from.
_SECTIONS: dict[str, tuple[Registry, ...]] = {
    'model': (registries.MODELS, registries.TASK_UTILS, registries.WEIGHT_INITIALIZERS),
    **{key: (registries.DATASETS, registries.TRANSFORMS, registries.DATA_SAMPLERS) for key in DATALOADERS},
    **{key: (registries.METRICS, registries.EVALUATOR) for key in EVALUATORS},
    'optim_wrapper': (registries.OPTIM_WRAPPERS, registries.OPTIMIZERS),
    'param_scheduler': (registries.PARAM_SCHEDULERS,),
    'default_hooks': (registries.HOOKS,),
    'custom_hooks': (registries.HOOKS,),
    **{key: (registries.LOOPS,) for key in ('train_cfg', 'val_cfg', 'test_cfg')},
    'tta_model': (registries.MODELS,),
    'tta_pipeline': (registries.TRANSFORMS,),
}

#: Parts whose builders hand on all keys as they are.
_STRICT = (*DATALOADERS, *EVALUATORS, 'tta_pipeline')

#: Parts that have no type; MMEngine takes what it knows of them and ignores the rest.
_FIXED_KEYS: dict[str, tuple[str, ...]] = {
    'auto_scale_lr': ('enable', 'base_batch_size'),
    'randomness': ('seed', 'diff_rank_seed', 'deterministic'),
    'env_cfg': ('cudnn_benchmark', 'mp_cfg', 'dist_cfg', 'resource_limit'),
}


def check_arguments(cfg: Config) -> None:
    """Check that every argument and type exists, or at least is not a near miss of one that does.

    Builders of models and hooks take some keys away before the constructor sees them (``requires_grad`` of a norm,
    say), so there a key that is like none of the accepted ones passes; data sets, samplers, transforms, metrics and all
    components of this package take exactly what their signature says.

    Raises:
        UserError: a misspelt argument or type, with the name that was probably meant.
    """
    for section, keys in _FIXED_KEYS.items():
        for key in cfg.get(section) or ():
            if key not in keys:
                raise choice_error(f'Key of {section}', key, keys)
    for section, candidates in _SECTIONS.items():
        for path, node in walk(cfg.get(section), section):
            component = next(filter(None, (find_component(r, node.get('type')) for r in candidates)), None)
            if component is None:
                _check_type(path, node.get('type'), candidates)
            else:
                strict = section in _STRICT or component.__module__.startswith('effformer_dense.')
                _check_keys(f'Argument of {component.__name__} ({path})', node, component, strict)
    for section in DATALOADERS:
        _check_keys(f'Argument of {section}', cfg.get(section) or {}, DataLoader, strict=False)


def _check_keys(what: str, node: Iterable[str], component: type, strict: bool) -> None:
    accepted = _accepted_arguments(component)
    if accepted is None:
        return
    for key in node:
        if key in (*accepted, 'type', '_scope_'):
            continue
        if strict or difflib.get_close_matches(key, accepted, n=1, cutoff=0.8):
            raise choice_error(what, key, accepted)


def _check_type(path: str, name: object, candidates: tuple[Registry, ...]) -> None:
    """Check the type of a node: an unregistered name passes unless it is a near miss of a registered one."""
    if not isinstance(name, str):
        return
    known: set[str] = set()
    for registry in candidates:
        with registry.switch_scope_and_registry(None) as scoped:
            known.update(scoped.module_dict, registry.module_dict)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.85)
    if near and near[0] != name:
        raise UserError(f'{path}.type {name!r} is registered nowhere. Did you mean {near[0]!r}?')


def _accepted_arguments(component: type) -> list[str] | None:
    """Argument names of a constructor, including those it forwards to base classes; None if it accepts any."""
    names: list[str] = []
    for cls in component.__mro__:
        if '__init__' not in vars(cls):
            continue
        parameters = inspect.signature(vars(cls)['__init__']).parameters.values()
        names += [p.name for p in parameters if p.name != 'self' and p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            return names
    return None
