"""Finding and loading whole-model checkpoints, with errors that say what is wrong with a file."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

from mmengine.model import is_model_wrapper
from mmengine.runner import CheckpointLoader
from torch import Tensor, nn

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


def read_checkpoint(path: Path | str) -> dict[str, Any]:
    """Checkpoint as MMEngine reads it, on the CPU.

    Args:
        path: a file, or a URL that MMEngine understands.

    Raises:
        ValueError: the file is truncated, empty, or no checkpoint.
    """
    try:
        checkpoint = CheckpointLoader.load_checkpoint(str(path), map_location='cpu')
    except (RuntimeError, EOFError, pickle.UnpicklingError, OSError, ValueError, KeyError, AttributeError) as error:
        size = f' ({Path(path).stat().st_size:,} bytes)' if Path(path).is_file() else ''
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f'{path}{size} is no readable checkpoint: {reason} Copy or download it again.') from error
    if not isinstance(checkpoint, dict):
        raise ValueError(f'{path} holds a {type(checkpoint).__name__}, not a checkpoint.')
    return checkpoint


def weights_of(checkpoint: dict[str, Any]) -> dict[str, Tensor]:
    """The weights in a checkpoint, which MMEngine keeps beside optimiser and history."""
    return checkpoint.get('state_dict', checkpoint)


def load_weights(model: nn.Module, path: Path) -> dict[str, Any]:
    """Load a whole detector or segmentor; every entry must find its place.

    Args:
        model: with or without a wrapper for several GPUs.
        path: checkpoint.

    Returns:
        The checkpoint.

    Raises:
        ValueError: not readable, of another variant, or with entries missing, unexpected or of another shape.
    """
    checkpoint = read_checkpoint(path)
    state_dict = weights_of(checkpoint)
    inner = model.module if is_model_wrapper(model) else model
    try:
        result = inner.load_state_dict(state_dict, strict=False)
    except RuntimeError as error:
        report = load_report(state_dict, inner.state_dict())
        raise ValueError(f'{path} does not fit the config: {report.summary()}') from error
    except ValueError as error:
        raise ValueError(f'{path}: {error}') from error
    if result.missing_keys or result.unexpected_keys:
        report = load_report(state_dict, inner.state_dict())
        raise ValueError(f'{path} does not fit the config: {report.summary()} Use the config it was trained with.')
    return checkpoint
