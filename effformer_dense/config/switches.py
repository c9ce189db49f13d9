"""Command-line switches that change a config."""

from __future__ import annotations

import os
from typing import Any

import torch
from mmengine.config import Config
from mmengine.logging import print_log

from ..errors import UserError
from .nodes import walk

#: Names of norms that exchange their statistics; mmcv has one of its own.
_SYNCHRONISED = ('SyncBN', 'MMSyncBN')

#: What launchers give a process, and how each starts several of them.
_LAUNCHERS = {
    'pytorch': (('RANK', 'LOCAL_RANK', 'WORLD_SIZE'), 'torchrun --nproc_per_node=N -m effformer_dense'),
    'slurm': (('SLURM_PROCID', 'SLURM_LOCALID', 'SLURM_NTASKS', 'SLURM_NODELIST'), 'srun --ntasks=N effdense'),
    'mpi': (('OMPI_COMM_WORLD_RANK', 'OMPI_COMM_WORLD_LOCAL_RANK'), 'mpirun -n N effdense'),
}


def check_launcher(launcher: str) -> None:
    """Check that a launcher has started this process, with a GPU for each where there are some.

    Raises:
        UserError: it has not, or there are fewer GPUs than processes.
    """
    names, start = _LAUNCHERS[launcher]
    if not set(names) <= set(os.environ):
        program = start.partition(' ')[0]
        raise UserError(
            f'--launcher {launcher} is for processes that {program} starts, and this one was not: '
            f'{start} train CONFIG --launcher {launcher}'
        )
    place, gpus = int(os.environ[names[1]]), torch.cuda.device_count()
    if torch.cuda.is_available() and place >= gpus:
        raise UserError(
            f'This is process {place + 1} on this machine, which has {gpus} GPU{"s" * (gpus != 1)}: start as many as '
            'there are GPUs. With CUDA_VISIBLE_DEVICES=-1 any number trains on the CPU.'
        )


def drop_pretrained(cfg: Config) -> None:
    """Remove all pretrained weights from the config; other initialisation stays."""
    for _, node in walk(cfg.get('model')):
        if node.get('init_cfg'):
            node['init_cfg'] = without_pretrained(node['init_cfg'])
        node.pop('pretrained', None)  # of TimmFeatures, and of older configs
    cfg.load_from = None


def without_pretrained(init_cfg: Any) -> Any:
    """What of an ``init_cfg``, one or a list of them, reads no weights; None for one that does."""
    if isinstance(init_cfg, list | tuple):
        return [part for part in init_cfg if part.get('type') != 'Pretrained']
    return None if init_cfg and init_cfg.get('type') == 'Pretrained' else init_cfg


def enable_amp(cfg: Config) -> None:
    """Enable mixed precision: fp16 in training, validation and testing on a GPU; bf16 in training on a CPU.

    bf16 needs no scaler. Predictions of a CPU stay in float32, since numpy, by which they are scored, has no bf16.
    """
    on_gpu, wrapper = torch.cuda.is_available(), cfg.get('optim_wrapper')
    if wrapper and on_gpu:
        wrapper.type, wrapper.loss_scale = 'AmpOptimWrapper', 'dynamic'
    elif wrapper:
        wrapper.type = 'Bf16OptimWrapper'
        for key in ('loss_scale', 'dtype', 'use_fsdp'):  # of MMEngine's wrapper, which needs a GPU
            wrapper.pop(key, None)
    for loop in ('val_cfg', 'test_cfg') if on_gpu else ():
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


def forgo_sync_batch_norm(model: Any) -> list[str]:
    """Put BN in the place of SyncBN; returns where it was."""
    found = [(path, node) for path, node in walk(model) if node.get('type') in _SYNCHRONISED]
    for _, node in found:
        node['type'] = 'BN'
    return [path for path, _ in found]


def replace_sync_batch_norm(cfg: Config) -> None:
    """Replace SyncBN by BN: it does not train on a CPU, and one process has nothing to synchronise.

    ``sync_bn``, by which MMEngine puts SyncBN into a whole model, goes as well.
    """
    found = forgo_sync_batch_norm(cfg.get('model'))
    if cfg.get('sync_bn'):
        cfg.sync_bn = None
        found.append('sync_bn')
    if found:
        why = 'No GPU' if cfg.launcher != 'none' else 'One process'
        print_log(f'{why}: SyncBN replaced by BN in {", ".join(found)}.', 'current')
