"""Weights by name from the Hugging Face hub: timm's, and Hugging Face's own."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import torch

from ..errors import MissingFileError, MissingPackageError, UserError, choice_error
from ..variants import ALL_VARIANTS

TIMM_SCHEME = 'timm://'
HUGGING_FACE_SCHEME = 'hf://'
_SAFETENSORS = 'model.safetensors'
_PICKLE = 'pytorch_model.bin'


def full_name(name: str) -> str:
    """Name with tag of one of timm's published weights; the tag may be left out.

    Raises:
        UserError: no weights of that name for these backbones.
    """
    names = [row.timm_name for row in ALL_VARIANTS if row.timm_name is not None]
    for candidate in names:
        if name in (candidate, candidate.split('.')[0]):
            return candidate
    raise UserError(
        f'{choice_error("Name of timm weights", name, names)} Other models of timm: '
        f"backbone=dict(type='TimmFeatures', model_name={name!r}, pretrained=True)."
    )


def manual_path(name: str) -> Path:
    """Where a file of timm's that was downloaded by hand is looked for, before the hub is asked."""
    return Path(torch.hub.get_dir()) / 'checkpoints' / f'{full_name(name)}.safetensors'


def fetch_timm(name: str) -> Path:
    """Local file with timm's weights ``name``, downloaded on first use.

    Raises:
        UserError: unknown name.
        MissingFileError: neither cached nor to be downloaded; the text says which file to put where.
        ImportError: the hub library is missing.
    """
    name = full_name(name)
    by_hand = manual_path(name)
    if by_hand.is_file():
        return by_hand
    way_out = f'and save it as {by_hand}, or train without pretrained weights: --from-scratch.'
    return _download(TIMM_SCHEME + name, f'timm/{name}', [_SAFETENSORS], way_out)


def fetch_huggingface(repository: str) -> Path:
    """Local file with the weights of a repository ``OWNER/NAME`` of the hub, downloaded on first use.

    Raises:
        UserError: not of that form.
        FileNotFoundError, ImportError: as :func:`fetch_timm`.
    """
    if not re.fullmatch(r'\w[\w.-]*/\w[\w.-]*', repository):
        raise UserError(
            f'{HUGGING_FACE_SCHEME}{repository} must name a repository as OWNER/NAME, such as '
            f'{HUGGING_FACE_SCHEME}snap-research/efficientformer-l1-300.'
        )
    way_out = 'and name that file instead.'
    return _download(HUGGING_FACE_SCHEME + repository, repository, [_SAFETENSORS, _PICKLE], way_out)


def _download(source: str, repository: str, files: Sequence[str], way_out: str) -> Path:
    """The first of ``files`` that the repository, or the cache of it, has."""
    try:
        from huggingface_hub import hf_hub_download
    except ImportError as error:
        raise MissingPackageError(
            f'{source} needs huggingface_hub and safetensors: pip install huggingface_hub safetensors'
        ) from error
    failures = []
    for file in files:
        try:
            return Path(hf_hub_download(repository, file))
        except Exception as error:  # the hub library passes on whatever its HTTP client raises
            failures.append(error)
    reasons = ', '.join(sorted({type(failure).__name__ for failure in failures}))
    raise MissingFileError(
        f'{source} is not cached and could not be downloaded ({reasons}). Download '
        f'https://huggingface.co/{repository}/resolve/main/{files[0]} on a machine with network {way_out}'
    ) from failures[0]
