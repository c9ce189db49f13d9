"""Finding and loading whole-model checkpoints, with errors that say what is wrong with a file."""

from __future__ import annotations

import logging
from collections import OrderedDict
from pathlib import Path
from typing import Any

from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from mmengine.runner import CheckpointLoader
from torch import Tensor, nn

from ..errors import UserError
from .adapter import report_whole
from .layouts import backbone_prefixes
from .loaders import safe_loaders
from .unwrap import versions_in, weights_in
from .whole_files import EARLIER, newest_whole


def find_checkpoint(path: Path) -> Path:
    """Checkpoint file that a path means: itself, or the newest whole one of a work dir.

    Raises:
        UserError: nothing there, or nothing whole.
    """
    if path.is_file():
        return path
    if not path.is_dir():
        raise UserError(f'Checkpoint {path} does not exist. Name a .pth file or the work dir of a training.')
    found, flaws = newest_whole(path)
    if found is None and flaws:
        raise UserError(f'{path} holds no whole checkpoint: {"; ".join(flaws)}. Start the training anew.')
    if found is None:
        earlier = max(path.glob(f'{EARLIER}*'), default=None)
        way_out = 'Train first.' if earlier is None else f'Those of an earlier training are in {earlier}.'
        raise UserError(f'{path} holds no checkpoint (epoch_N.pth or iter_N.pth). {way_out}')
    if flaws:
        print_log(f'{path}: {"; ".join(flaws)}. {found.name} is taken instead.', 'current', logging.WARNING)
    return found


def read_checkpoint(path: Path | str) -> dict[str, Any]:
    """Checkpoint as MMEngine names it, on the CPU, read without running anything in it.

    Args:
        path: a file, or a URL that MMEngine understands.

    Raises:
        UserError, MissingFileError: see :mod:`.loaders`; or the file is no checkpoint.
    """
    with safe_loaders():
        checkpoint = CheckpointLoader.load_checkpoint(str(path), map_location='cpu')
    if not isinstance(checkpoint, dict):
        raise UserError(f'{path} holds a {type(checkpoint).__name__}, not a checkpoint.')
    return checkpoint


def check_start(path: Path) -> None:
    """Weights that ``load_from`` names are those of a whole model.

    MMEngine takes what it finds there and leaves the rest as it is, with a warning among others.

    Raises:
        UserError: not readable, or a backbone that is not where detectors and segmentors have theirs.
    """
    checkpoint = read_checkpoint(path)
    try:
        places = backbone_prefixes(weights_in(checkpoint))
    except ValueError as error:
        raise UserError(f'{path}: {error}') from error
    if places and 'backbone.' not in places:
        place = f'under {places[0]!r}' if places[0] else 'at the top'
        raise UserError(
            f'{path} has a backbone {place}, and load_from takes whole detectors and segmentors, which have it under '
            f"'backbone.'. To start from it: --cfg-options model.backbone.init_cfg.checkpoint={path}"
        )


def unwrapped(model: Any) -> Any:
    """The model inside a wrapper for several processes; itself where there is none."""
    return model.module if is_model_wrapper(model) else model


def load_weights(model: nn.Module, path: Path) -> dict[str, Any]:
    """Load a whole detector or segmentor; every entry must find its place.

    Args:
        model: with or without a wrapper for several GPUs.
        path: checkpoint.

    Returns:
        The checkpoint.

    Raises:
        UserError: not readable, of another variant, or with entries missing, unexpected or of another shape.
    """
    checkpoint = read_checkpoint(path)
    inner = unwrapped(model)
    try:
        state_dict = OrderedDict(weights_in(checkpoint))
        state_dict._metadata = versions_in(checkpoint) or None  # type: ignore[attr-defined]
        result = inner.load_state_dict(state_dict, strict=False)
    except RuntimeError as error:  # entries of another shape
        raise _misfit(path, inner, state_dict) from error
    except ValueError as error:
        raise UserError(f'{path}: {error}') from error
    # Files of the mmcv 1.x era lack the counters, and nothing that we build reads them.
    missing = [key for key in result.missing_keys if not key.endswith('num_batches_tracked')]
    if missing or result.unexpected_keys:
        raise _misfit(path, inner, state_dict)
    return checkpoint


def _misfit(path: Path, model: nn.Module, state_dict: dict[str, Tensor]) -> UserError:
    report = report_whole(model, state_dict)
    return UserError(
        f'{path} does not fit the config: {report.summary(examples=10)} Use the config it was trained with.'
    )
