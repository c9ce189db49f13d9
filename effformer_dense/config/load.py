"""Loading a config as the tools do: apply overrides, make paths absolute, catch mistakes early."""

from __future__ import annotations

import argparse
import difflib
import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config, ConfigDict, DictAction
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmengine.utils import import_modules_from_strings

from ..errors import UserError, choice_error
from ..mmcv_ops import check_mmcv
from ..options import ConfigOptions
from .home import PREFIX, config_names, data_place, find_config
from .nodes import walk
from .numba_cache import provide_numba_cache
from .switches import (
    check_launcher,
    drop_pretrained,
    enable_amp,
    enable_auto_scale_lr,
    replace_sync_batch_norm,
)

DATALOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
EVALUATORS = ('val_evaluator', 'test_evaluator')

#: Top-level keys that MMEngine, or this package, reads besides the arguments of its Runner.
_OTHER_KEYS = ('custom_imports', 'env_cfg', 'log_level', 'auto_scale_lr', 'sync_bn', 'distill', 'search')

#: What the option ``--tta`` reads. Too much like the usual names of variables (test_pipeline) to guess misspellings.
_TTA_KEYS = ('tta_model', 'tta_pipeline')


def load_config(options: ConfigOptions) -> Config:
    """Read a config and apply ``options``.

    Raises:
        UserError: the config does not exist or cannot be read, an override names a key that is not there, a
            top-level key is misspelt, or an option does not fit this machine.
        MmcvError: mmcv is missing or broken, see :func:`..mmcv_ops.check_mmcv`.
    """
    cfg = read_config(options)
    _set_data_roots(cfg, options.data_root)
    cfg.launcher = options.launcher
    _apply_switches(cfg, options)
    cfg.work_dir = str(options.work_dir or cfg.get('work_dir') or Path('work_dirs') / Path(cfg.filename).stem)
    return cfg


def read_config(options: ConfigOptions) -> Config:
    """Read a config and apply its overrides, no other options.

    Raises:
        UserError: see :func:`load_config`.
    """
    cfg = _read(options.config)
    _check_top_level_keys(cfg)
    for key, value in _parse_overrides(options.cfg_options).items():
        _open_clipping(cfg, key)
        _open_distillation(cfg, key)
        _check_override(cfg, key, value)
        try:
            cfg.merge_from_dict({key: value})
        except (TypeError, KeyError, ValueError, IndexError) as error:
            raise UserError(f'--cfg-options {key}={value!r} cannot be applied: {error}') from error
    return cfg


def enter_scope(cfg: Config) -> None:
    """Make the config's framework the default scope, and import what the config asks for."""
    init_default_scope(cfg.get('default_scope', 'mmengine'))
    import_modules_from_strings(**cfg.get('custom_imports', dict(imports=['effformer_dense'])))


def _apply_switches(cfg: Config, options: ConfigOptions) -> None:
    if options.from_scratch:
        drop_pretrained(cfg)
    if options.amp:
        enable_amp(cfg)
    if options.auto_scale_lr:
        enable_auto_scale_lr(cfg)
    if options.window_px is None and options.stride_px is not None:
        raise UserError(f'--stride-px {options.stride_px} is the step of a sliding window: add its size, --window-px.')
    if options.launcher != 'none':
        check_launcher(options.launcher)
    if options.launcher == 'none' or not torch.cuda.is_available():
        replace_sync_batch_norm(cfg)


def _read(name: Path) -> Config:
    path = find_config(str(name))
    if path is None:
        if name.is_dir():
            raise UserError(f'{name} is a folder; a config file is expected, or the name of one of ours.')
        ours = config_names()
        names = [*(str(p) for p in name.parent.glob('*.py')), *ours, *(f'configs/{config}.py' for config in ours)]
        near = difflib.get_close_matches(str(name).removeprefix(PREFIX), names, cutoff=0.5)
        hint = f' Close to it: {", ".join(near)}.' if near else ''
        raise UserError(f'Config {name} does not exist.{hint}')
    provide_numba_cache()
    check_mmcv(announce=False)
    try:
        with _bases_of_ours():
            return Config.fromfile(path)
    except Exception as error:  # a config is a program: whatever it raises, it is the config's
        raise UserError(f'Config {path} cannot be read: {type(error).__name__}: {error}') from error


@contextmanager
def _bases_of_ours() -> Iterator[None]:
    """Let ``_base_`` of a config name configs of this package.

    MMEngine finds configs of a fixed list of packages, in subfolders alone, and gives all that is in them the scope of
    the package. Ours have the scope of mmdet or mmsegmentation, so their files are read as if named by their paths.
    """
    usual = Config._get_cfg_path

    def get_cfg_path(cfg_path: str, filename: str) -> tuple[str, str | None]:
        if not cfg_path.startswith(PREFIX):
            return usual(cfg_path, filename)
        path = find_config(cfg_path)
        if path is None:
            raise choice_error('_base_', cfg_path, [PREFIX + name for name in config_names()])
        return str(path), None

    Config._get_cfg_path = staticmethod(get_cfg_path)
    try:
        yield
    finally:
        Config._get_cfg_path = staticmethod(usual)


def _known_keys() -> list[str]:
    return [*list(inspect.signature(Runner.__init__).parameters)[1:], *_OTHER_KEYS]


def _check_top_level_keys(cfg: Config) -> None:
    """Refuse near misses of keys that MMEngine reads; any other key is a variable of the config."""
    for key in cfg:
        near = difflib.get_close_matches(key, _known_keys(), n=1, cutoff=0.85)
        if near and near[0] != key:
            raise UserError(f'Config key {key!r} is read by nothing. Did you mean {near[0]!r}?')


def _parse_overrides(overrides: Sequence[str]) -> dict[str, Any]:
    parser = argparse.ArgumentParser()
    parser.add_argument('--cfg-options', nargs='+', action=DictAction)
    for override in overrides:
        if '=' not in override:
            raise UserError(f'--cfg-options takes KEY=VALUE; got {override!r}.')
    try:
        return parser.parse_args(['--cfg-options', *overrides]).cfg_options if overrides else {}
    except (AssertionError, ValueError, SyntaxError) as error:  # MMEngine's words for brackets that do not match
        raise UserError(
            f'--cfg-options {" ".join(overrides)}: {error}. Write a list without spaces, and in quotes: '
            "'model.neck.in_channels=[36,72]'."
        ) from error


def _open_clipping(cfg: Config, key: str) -> None:
    """Let an override clip gradients where the config does not: it has None for it, or no word."""
    first, *parts = key.split('.')
    if first != 'optim_wrapper' or 'clip_grad' not in parts[:-1]:
        return
    node = cfg.get(first)
    for part in parts[: parts.index('clip_grad')]:  # a name, where there are several optimizers
        node = node.get(part) if isinstance(node, dict) else None
    if isinstance(node, dict) and node.get('clip_grad') is None:
        node['clip_grad'] = {}


def _open_distillation(cfg: Config, key: str) -> None:
    """Let overrides make a config's training a distillation where it says nothing of one."""
    first, *parents = key.split('.')[:-1] or ['']
    if first != 'distill':
        return
    if cfg.get('distill') is None:
        cfg.distill = ConfigDict()
    node = cfg.distill
    for part in parents:
        if not isinstance(node.get(part), dict):
            node[part] = ConfigDict()
        node = node[part]


def _check_override(cfg: Config, key: str, value: Any) -> None:
    """An override must change something that is read: all but its last part exists, and the first is no variable.

    What has entries of its own is not replaced by one value; by None it is, which leaves it out.
    """
    *parents, last = key.split('.')
    first = parents[0] if parents else last
    if first not in (*_known_keys(), *_TTA_KEYS):
        if first in cfg:
            raise UserError(
                f'--cfg-options {key}: {first} is a variable of the config file, used up when the file was read. '
                'Override the entry that it went into (below model, train_dataloader, ...), or set it in a config '
                'of your own.'
            )
        raise choice_error('--cfg-options key', first, [known for known in _known_keys() if known in cfg])
    node: Any = cfg
    for depth, part in enumerate(parents):
        keys = _keys(node)
        if part not in keys:
            raise choice_error(f'Part {depth + 1} of --cfg-options {key}', part, keys)
        node = node[int(part)] if isinstance(node, (list, tuple)) else node[part]
    old = node.get(last) if isinstance(node, (dict, Config)) else None
    if isinstance(old, dict) and not isinstance(value, dict) and value is not None:
        raise UserError(
            f'--cfg-options {key}={value!r} would take the place of all of {key}. Name the entry that is meant: '
            f'{", ".join(f"{key}.{name}" for name in list(old)[:5])}{", ..." if len(old) > 5 else ""}.'
        )


def _keys(node: Any) -> list[str]:
    if isinstance(node, (list, tuple)):
        return [str(index) for index in range(len(node))]
    return [str(key) for key in node] if isinstance(node, (dict, Config)) else []


def _set_data_roots(cfg: Config, data_root: Path | None) -> None:
    """Make data paths absolute: from ``data_root``, else the current directory, else the project.

    Raises:
        UserError: ``data_root`` is given and the config has none that it could replace, or several.
    """
    old_roots = {node['data_root'] for name in DATALOADERS for _, node in walk(cfg.get(name)) if node.get('data_root')}
    if data_root is not None and len(old_roots) != 1:
        there = ', '.join(sorted(old_roots)) or 'none'
        raise UserError(
            f'--data-root takes the place of one data_root, and the config has {there}. '
            'Set each with --cfg-options train_dataloader.dataset.data_root=... and so on.'
        )
    for name in (*DATALOADERS, *EVALUATORS):
        for _, node in walk(cfg.get(name)):
            for key in ('data_root', 'ann_file'):
                if isinstance(node.get(key), str):
                    node[key] = _resolve(node[key], old_roots, data_root)


def _resolve(value: str, old_roots: set[str], data_root: Path | None) -> str:
    """``value`` if it is no path under one of ``old_roots``; otherwise the same path where the data is."""
    for old_root in old_roots:
        if Path(value).is_relative_to(old_root):
            new_root = data_root or data_place(old_root)
            return str(new_root.absolute() / Path(value).relative_to(old_root))
    return value
