"""Command-line switches that change a config."""

from __future__ import annotations

import os

import torch
from mmengine.config import Config
from mmengine.logging import print_log

from ..errors import UserError
from .nodes import walk


def check_launcher(launcher: str) -> None:
    """Check that a distributed run has GPUs and was started by its launcher.

    Raises:
        UserError: there is no GPU, or torchrun did not start this process.
    """
    if not torch.cuda.is_available():
        raise UserError(f'--launcher {launcher} needs GPUs: MMEngine binds each process to one. Leave it out on a CPU.')
    if launcher == 'pytorch' and not {'RANK', 'LOCAL_RANK', 'WORLD_SIZE'} <= set(os.environ):
        raise UserError(
            '--launcher pytorch is for processes that torchrun starts: '
            'torchrun --nproc_per_node=GPUS -m effformer_dense train CONFIG --launcher pytorch'
        )


def drop_pretrained(cfg: Config) -> None:
    """Remove all pretrained weights from the config; other initialisation stays."""
    for _, node in walk(cfg.get('model')):
        init = node.get('init_cfg')
        if isinstance(init, list):
            node['init_cfg'] = [part for part in init if part.get('type') != 'Pretrained']
        elif init and init.get('type') == 'Pretrained':
            node['init_cfg'] = None
    cfg.load_from = None


def enable_amp(cfg: Config) -> None:
    """Enable mixed precision in training, validation and testing.

    Raises:
        UserError: there is no GPU.
    """
    if not torch.cuda.is_available():
        raise UserError('--amp needs a GPU: MMEngine scales gradients only there. Leave it out on a CPU.')
    if cfg.get('optim_wrapper'):
        cfg.optim_wrapper.type = 'AmpOptimWrapper'
        cfg.optim_wrapper.loss_scale = 'dynamic'
    for loop in ('val_cfg', 'test_cfg'):
        if cfg.get(loop):
            cfg[loop].fp16 = True


def enable_auto_scale_lr(cfg: Config) -> None:
    """Let MMEngine scale the learning rate by total batch size over base batch size.

    Raises:
        UserError: the config has no base batch size.
    """
    if not (cfg.get('auto_scale_lr') or {}).get('base_batch_size'):
        raise UserError(
            '--auto-scale-lr needs the total batch size that the learning rate of the config is meant for: '
            'auto_scale_lr=dict(enable=False, base_batch_size=16), say.'
        )
    cfg.auto_scale_lr.enable = True


def replace_sync_batch_norm(cfg: Config) -> None:
    """Replace SyncBN by BN: one process has nothing to synchronise, and SyncBN does not train on a CPU."""
    found = [path for path, node in walk(cfg.get('model')) if node.get('type') == 'SyncBN']
    for _, node in walk(cfg.get('model')):
        if node.get('type') == 'SyncBN':
            node['type'] = 'BN'
    if found:
        print_log(f'One process: SyncBN replaced by BN in {", ".join(found)}.', 'current')
