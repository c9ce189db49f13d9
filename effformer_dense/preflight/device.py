"""The device that is named on the command line."""

from __future__ import annotations

import re

import torch

from ..errors import UserError


def check_device(name: str | None) -> torch.device:
    """Device of a name, which is there.

    Args:
        name: ``cpu``, ``cuda``, ``cuda:1``, ``mps``; None for a GPU if there is one.

    Raises:
        UserError: it is no device, or none of this machine.
    """
    if name is None:
        return torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    if not re.fullmatch(r'cpu|mps|cuda(:\d+)?', name):
        raise UserError(f'--device must be cpu, cuda, cuda:NUMBER or mps; got {name!r}. This machine has {_here()}.')
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0].rstrip('.')
        raise UserError(f'--device {name} cannot be used ({reason}). This machine has {_here()}.') from error
    return device


def _here() -> str:
    names = ['cpu', *(f'cuda:{index}' for index in range(torch.cuda.device_count()))]
    return ', '.join([*names, 'mps'] if torch.backends.mps.is_available() else names)
