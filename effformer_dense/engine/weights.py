"""Finding and loading whole-model checkpoints, with errors that say what is wrong with a file."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

from mmengine.runner import CheckpointLoader
from torch import nn

from ..checkpoint import load_report


def find_checkpoint(path: Path) -> Path:
    """Checkpoint file that a path means: itself, or the last one of a work dir.

    Raises:
        ValueError: nothing there.
    """
    if path.is_file():
        return path
    if not path.is_dir():
        raise ValueError(f'Checkpoint {path} does not exist. Name a .pth file or the work dir of a training.')
    pointer = path / 'last_checkpoint'  # written by MMEngine's CheckpointHook
    candidates = [Path(pointer.read_text().strip())] if pointer.is_file() else []
    candidates += [path / candidate.name for candidate in candidates]  # the work dir may have been moved
    found = next((candidate for candidate in candidates if candidate.is_file()), None)
    if found is None:
        raise ValueError(f'{path} holds no checkpoint (no last_checkpoint that names a file). Train first.')
    return found


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Checkpoint as MMEngine reads it, on the CPU.

    Raises:
        ValueError: the file is truncated, empty, or no checkpoint.
    """
    try:
        checkpoint = CheckpointLoader.load_checkpoint(str(path), map_location='cpu')
    except (RuntimeError, EOFError, pickle.UnpicklingError, OSError, ValueError, KeyError) as error:
        size = path.stat().st_size
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(
            f'{path} ({size:,} bytes) is no readable checkpoint: {reason} Copy or download it again.'
        ) from error
    if not isinstance(checkpoint, dict):
        raise ValueError(f'{path} holds a {type(checkpoint).__name__}, not a checkpoint.')
    return checkpoint


def load_weights(model: nn.Module, path: Path) -> dict[str, Any]:
    """Load a whole detector or segmentor; every entry must find its place.

    Returns:
        The checkpoint's ``meta``.

    Raises:
        ValueError: not readable, of another variant, or with entries missing, unexpected or of another shape.
    """
    checkpoint = read_checkpoint(path)
    state_dict = checkpoint.get('state_dict', checkpoint)
    try:
        result = model.load_state_dict(state_dict, strict=False)
    except RuntimeError as error:
        report = load_report(state_dict, model.state_dict())
        raise ValueError(f'{path} does not fit the config: {report.summary()}') from error
    except ValueError as error:
        raise ValueError(f'{path}: {error}') from error
    if result.missing_keys or result.unexpected_keys:
        report = load_report(state_dict, model.state_dict())
        raise ValueError(f'{path} does not fit the config: {report.summary()} Use the config it was trained with.')
    return checkpoint.get('meta', {})
