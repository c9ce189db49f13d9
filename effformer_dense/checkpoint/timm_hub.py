"""``timm://NAME``: timm's published weights by name, fetched and cached by the hub library."""

from __future__ import annotations

import re
from pathlib import Path

import torch
from mmengine.runner import CheckpointLoader
from torch import Tensor

from ..variants import ALL_VARIANTS, choice_error

SCHEME = 'timm://'
_FILE = 'model.safetensors'


def full_name(name: str) -> str:
    """Name with tag of one of the published weights; the tag may be left out.

    Raises:
        ValueError: no weights of that name for these backbones.
    """
    names = [row.timm_name for row in ALL_VARIANTS]
    for candidate in names:
        if name in (candidate, candidate.split('.')[0]):
            return candidate
    raise choice_error('Name of timm weights', name, names)


def manual_path(name: str) -> Path:
    """Where a file that was downloaded by hand is looked for, before the hub is asked."""
    return Path(torch.hub.get_dir()) / 'checkpoints' / f'{full_name(name)}.safetensors'


def fetch(name: str) -> Path:
    """Local file with the weights ``name``, downloaded on first use.

    Raises:
        ValueError: unknown name.
        FileNotFoundError: neither cached nor to be downloaded; the text says which file to put where.
        ImportError: the hub library is missing.
    """
    name = full_name(name)
    by_hand = manual_path(name)
    if by_hand.is_file():
        return by_hand
    try:
        from huggingface_hub import hf_hub_download
    except ImportError as error:
        raise ImportError(
            f'{SCHEME}{name} needs huggingface_hub and safetensors: pip install huggingface_hub safetensors'
        ) from error
    try:
        return Path(hf_hub_download(f'timm/{name}', _FILE))
    except Exception as error:  # the hub library passes on whatever its HTTP client raises
        raise FileNotFoundError(
            f'{SCHEME}{name} is not cached and could not be downloaded ({type(error).__name__}). '
            f'Download https://huggingface.co/timm/{name}/resolve/main/{_FILE} on a machine with network '
            f'and save it as {by_hand}, or train without pretrained weights: --from-scratch.'
        ) from error


def read(path: Path) -> dict[str, Tensor]:
    """Tensors of a safetensors file, on the CPU.

    Raises:
        ValueError: the file is truncated or of another format.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise ValueError(f'{path} is no readable safetensors file ({error}). Delete it and fetch it again.') from error


def load_from_timm(filename: str, map_location: str | torch.device | None = None) -> dict[str, Tensor]:
    """Loader that MMEngine calls for ``timm://`` names; the entries keep timm's layout.

    Raises:
        ValueError, FileNotFoundError: as :func:`fetch` and :func:`read`.
    """
    name = re.sub(f'^{re.escape(SCHEME)}', '', filename)
    tensors = read(fetch(name))
    if map_location is None:
        return tensors
    return {key: value.to(map_location) for key, value in tensors.items()}


def register_scheme() -> None:
    """Make MMEngine's checkpoint loader understand ``timm://``."""
    CheckpointLoader.register_scheme(prefixes=SCHEME, loader=load_from_timm, force=True)
