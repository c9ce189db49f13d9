"""Reading a config the way the tools do: overrides applied, paths made absolute, mistakes found early."""

from __future__ import annotations

import argparse
import difflib
import inspect
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config, DictAction
from mmengine.logging import print_log
from mmengine.runner import Runner

from ..variants import choice_error

PROJECT_ROOT = Path(__file__).resolve().parents[2]
DATALOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
EVALUATORS = ('val_evaluator', 'test_evaluator')

#: Top-level keys that MMEngine reads besides the arguments of its Runner.
_OTHER_KEYS = ('custom_imports', 'env_cfg', 'log_level', 'auto_scale_lr')


@dataclass(frozen=True)
class ConfigOptions:
    """What the command line changes about a config.

    Attributes:
        config: path of the config.
        cfg_options: ``key.path=value`` strings.
        work_dir: where to write; None for ``work_dirs/CONFIG`` in the current directory.
        data_root: takes the place of the data sets' ``data_root``.
        from_scratch: drop every pretrained start.
        amp: mixed precision.
        launcher: 'none', 'pytorch', 'slurm' or 'mpi'.
    """

    config: Path
    cfg_options: list[str] = field(default_factory=list)
    work_dir: Path | None = None
    data_root: Path | None = None
    from_scratch: bool = False
    amp: bool = False
    launcher: str = 'none'


def load_config(options: ConfigOptions) -> Config:
    """Read a config and apply ``options``.

    Raises:
        ValueError: the config does not exist or cannot be read, an override names a key that is not there, a
            top-level key is misspelt, or an option does not fit this machine.
    """
    cfg = _read(options.config)
    _check_top_level_keys(cfg)
    for key, value in _parse_overrides(options.cfg_options).items():
        _check_override(cfg, key)
        cfg.merge_from_dict({key: value})
    _set_data_root(cfg, options.data_root)
    if options.from_scratch:
        _drop_pretrained(cfg)
    if options.amp:
        _enable_amp(cfg)
    if options.launcher == 'none' or not torch.cuda.is_available():
        _replace_sync_batch_norm(cfg)
    if not torch.cuda.is_available():
        cfg.merge_from_dict({'env_cfg.dist_cfg.backend': 'gloo'})
    cfg.launcher = options.launcher
    cfg.work_dir = str(options.work_dir or cfg.get('work_dir') or Path('work_dirs') / options.config.stem)
    return cfg


def walk(node: Any, path: str = '') -> Iterator[tuple[str, dict]]:
    """Every dict inside a config node with its key path, outermost first."""
    if isinstance(node, dict):
        yield path, node
        for key, value in node.items():
            yield from walk(value, f'{path}.{key}' if path else str(key))
    elif isinstance(node, (list, tuple)):
        for index, value in enumerate(node):
            yield from walk(value, f'{path}.{index}')


def _read(path: Path) -> Config:
    if not path.is_file() and (PROJECT_ROOT / path).is_file():
        path = PROJECT_ROOT / path
    if not path.is_file():
        names = [str(p) for folder in {path.parent, PROJECT_ROOT / 'configs'} for p in folder.glob('*.py')]
        near = difflib.get_close_matches(str(path), names, n=3, cutoff=0.5)
        hint = f' Close to it: {", ".join(near)}.' if near else ''
        raise ValueError(f'Config {path} does not exist.{hint}')
    try:
        return Config.fromfile(path)
    except (SyntaxError, tokenize.TokenError, KeyError, TypeError, NameError, OSError, ImportError) as error:
        raise ValueError(f'Config {path} cannot be read: {type(error).__name__}: {error}') from error


def _check_top_level_keys(cfg: Config) -> None:
    """A key that is nearly one that MMEngine reads is a misspelling; others are the config's own variables."""
    known = [*inspect.signature(Runner.__init__).parameters, *_OTHER_KEYS]
    for key in cfg:
        near = difflib.get_close_matches(key, known, n=1, cutoff=0.85)
        if near and near[0] != key:
            raise ValueError(f'Config key {key!r} is read by nothing. Did you mean {near[0]!r}?')


def _parse_overrides(overrides: list[str]) -> dict[str, Any]:
    parser = argparse.ArgumentParser()
    parser.add_argument('--cfg-options', nargs='+', action=DictAction)
    for override in overrides:
        if '=' not in override:
            raise ValueError(f'--cfg-options takes KEY=VALUE; got {override!r}.')
    return parser.parse_args(['--cfg-options', *overrides]).cfg_options if overrides else {}


def _check_override(cfg: Config, key: str) -> None:
    """All but the last part of an override must exist; the last must too at the top level."""
    *parents, last = key.split('.')
    node: Any = cfg
    for depth, part in enumerate(parents):
        keys = _keys(node)
        if part not in keys:
            raise choice_error(f'Part {depth + 1} of --cfg-options {key}', part, keys)
        node = node[int(part)] if isinstance(node, (list, tuple)) else node[part]
    keys = _keys(node)
    if not parents and last not in keys and last not in inspect.signature(Runner.__init__).parameters:
        raise choice_error('--cfg-options key', last, keys)


def _keys(node: Any) -> list[str]:
    if isinstance(node, (list, tuple)):
        return [str(index) for index in range(len(node))]
    return [str(key) for key in node] if isinstance(node, (dict, Config)) else []


def _set_data_root(cfg: Config, data_root: Path | None) -> None:
    """Make data paths absolute: from ``data_root``, else the current directory, else the project."""
    old_root = _root_of(cfg)
    for name in (*DATALOADERS, *EVALUATORS):
        for _, node in walk(cfg.get(name)):
            for key in ('data_root', 'ann_file'):
                if isinstance(node.get(key), str):
                    node[key] = _resolve(node[key], old_root, data_root)


def _root_of(cfg: Config) -> str | None:
    """The ``data_root`` that a config was written with."""
    roots = [node['data_root'] for name in DATALOADERS for _, node in walk(cfg.get(name)) if 'data_root' in node]
    return cfg.get('data_root') or (roots[0] if roots else None)


def _resolve(value: str, old_root: str | None, data_root: Path | None) -> str:
    """``value`` if it is a path under ``old_root``, moved to where the data is; otherwise unchanged."""
    if old_root is None or not Path(value).is_relative_to(old_root):
        return value
    inside = Path(value).relative_to(old_root)
    if data_root is not None:
        return str(data_root.absolute() / inside)
    here = Path(old_root).absolute()
    return str((here if here.exists() else PROJECT_ROOT / old_root) / inside)


def _drop_pretrained(cfg: Config) -> None:
    """Remove every pretrained start; other initialisation stays."""
    for _, node in walk(cfg.model):
        init = node.get('init_cfg')
        if isinstance(init, list):
            node['init_cfg'] = [part for part in init if part.get('type') != 'Pretrained']
        elif init and init.get('type') == 'Pretrained':
            node['init_cfg'] = None
    cfg.load_from = None


def _enable_amp(cfg: Config) -> None:
    if not torch.cuda.is_available():
        raise ValueError('--amp needs a GPU: MMEngine scales gradients only there. Leave it out on a CPU.')
    cfg.optim_wrapper.type = 'AmpOptimWrapper'
    cfg.optim_wrapper.loss_scale = 'dynamic'


def _replace_sync_batch_norm(cfg: Config) -> None:
    """A single process has nothing to synchronise, and SyncBN refuses to train on a CPU."""
    found = [path for path, node in walk(cfg.model) if node.get('type') == 'SyncBN']
    for _, node in walk(cfg.model):
        if node.get('type') == 'SyncBN':
            node['type'] = 'BN'
    if found:
        print_log(f'One process or no GPU: SyncBN replaced by BN in {", ".join(found)}.', 'current')
