"""Reading checkpoint files without running what may be in them.

A ``.pth`` file is a pickle, and a pickle can call any function while it is read. Here it may make tensors, plain
containers, and the few harmless objects that training programs keep beside their weights; one that wants more is
refused by name.
"""

from __future__ import annotations

import argparse
import pickle
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..errors import MissingFileError, UserError
from ..invocation import command

#: Largest pickle inside a torch file. It holds names and places of tensors, and MMEngine's logs.
MAX_PICKLE_BYTES = 2**28
_NOT_CHECKPOINTS = {
    b'<': 'a web page, such as a download that asked for something first',
    b'version https://git-lfs': 'a pointer of Git LFS; the file itself is fetched with git lfs pull',
    b'{': 'JSON',
    b'\x1f\x8b': 'compressed by gzip; unpack it',
}


def read_file(path: Path | str, map_location: Any = 'cpu', trust: bool = False) -> Any:
    """Content of a checkpoint file, whatever its name ends with: torch's formats or safetensors.

    Args:
        path: local file.
        map_location: see ``torch.load``.
        trust: let a pickle do what it wants. Only for files whose maker you trust as you trust a program.

    Returns:
        What was saved: for safetensors the weights by name; otherwise mostly a dict.

    Raises:
        MissingFileError: no such file.
        UserError: truncated, empty, of another format, inflated, or a pickle that wants to run code.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise MissingFileError(f'{path} is no file.')
    with path.open('rb') as file:
        head = file.read(64)
    try:
        if _is_safetensors(head, path.stat().st_size):
            return _read_safetensors(path, map_location)
        _check_format(head)
        if head.startswith(b'PK'):
            _check_archive(path)
        content = _read_pickle(path, map_location, trust)
        _check_names(content)
        return content
    except _RefusedError as refusal:
        raise UserError(f'{path} {refusal}') from refusal
    except Exception as error:  # a broken file can fail in any way
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        if 'version' in reason and 'too old' in reason:
            raise UserError(f'{path} was written by a newer torch than {torch.__version__}. Update torch.') from error
        size = f'{path.stat().st_size:,} bytes'
        raise UserError(
            f'{path} ({size}) is no readable checkpoint: {reason.rstrip(".")}. Copy or download it again.'
        ) from error


class _RefusedError(Exception):
    """What is wrong with a file, to follow its name."""


def _is_safetensors(head: bytes, size: int) -> bool:
    """Eight bytes with the length of a JSON header, then the header."""
    return len(head) > 8 and head[8:9] == b'{' and int.from_bytes(head[:8], 'little') <= size


def _read_safetensors(path: Path, map_location: Any) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file  # only such files need it

    device = map_location if isinstance(map_location, (str, torch.device)) else 'cpu'
    return load_file(path, device=str(device))


def _check_format(head: bytes) -> None:
    if not head:
        raise _RefusedError('is empty. Copy or download it again.')
    for start, what in _NOT_CHECKPOINTS.items():
        if head.lstrip().startswith(start):
            raise _RefusedError(f'is no checkpoint but {what}.')


def _check_archive(path: Path) -> None:
    """torch stores without compression: an archive that grows when it is opened was made to do harm."""
    with zipfile.ZipFile(path) as archive:
        records = archive.infolist()
    if any(record.compress_type != zipfile.ZIP_STORED for record in records):
        raise _RefusedError('is a compressed archive, and torch writes none: it was not saved by torch.')
    largest = max((record.file_size for record in records if record.filename.endswith('.pkl')), default=0)
    if largest > MAX_PICKLE_BYTES:
        raise _RefusedError(f'describes its weights in {largest:,} bytes; networks take some hundred thousand.')


def _read_pickle(path: Path, map_location: Any, trust: bool) -> Any:
    if trust:
        return torch.load(path, map_location=map_location, weights_only=False)
    try:
        with torch.serialization.safe_globals(_harmless()):
            return torch.load(path, map_location=map_location, weights_only=True)
    except pickle.UnpicklingError as error:
        # torch names a function that is not allowed, or the class of an object.
        wanted = re.search(r"GLOBAL ([\w.]+)|but got <class '([\w.]+)'>", str(error))
        if wanted is None:
            detail = re.search(r'WeightsUnpickler error: *(\S.+)', str(error))
            raise ValueError(detail[1] if detail else 'a broken pickle') from error
        raise _RefusedError(
            f'wants to use {wanted[1] or wanted[2]} while it is read, which no weights need: that could run anything. '
            f'If you trust its maker as you would trust a program: {command("convert")} --trust IN OUT, and use '
            'OUT.'
        ) from error


def _check_names(content: Any) -> None:
    """Weights, and what is around them, are named by texts."""
    if content == {}:
        raise _RefusedError('holds nothing.')
    inner = content.get('state_dict') if isinstance(content, dict) else None
    for level in (content, inner):
        wrong = [key for key in level if not isinstance(key, str)] if isinstance(level, dict) else []
        if wrong:
            raise _RefusedError(f'names an entry {wrong[0]!r}, which is no text: it holds no weights of a network.')


def _harmless() -> list[Any]:
    """What old checkpoints hold beside weights and plain containers, with the names they use for it.

    MMEngine's logs (history buffers of numpy arrays), numpy's numbers under its old and new module names, and the
    arguments that the published training code was called with. Making any of these runs nothing of the file's choice.
    """
    from mmengine.logging.history_buffer import HistoryBuffer

    core = np._core if hasattr(np, '_core') else np.core
    arrays = {'_reconstruct': core.multiarray._reconstruct, 'scalar': core.multiarray.scalar}
    named = [
        (function, f'numpy.{module}.multiarray.{name}')
        for name, function in arrays.items()
        for module in ('core', '_core')
    ]
    numbers = {
        type(np.dtype(kind)) for kind in (bool, 'i1', 'i2', 'i4', 'i8', 'u1', 'u2', 'u4', 'u8', 'f2', 'f4', 'f8')
    }
    return [*named, *numbers, np.ndarray, np.dtype, HistoryBuffer, (_statistic, 'builtins.getattr'), argparse.Namespace]


def _statistic(owner: Any, name: str) -> Any:
    """In place of ``getattr``, which history buffers name their statistics by."""
    from mmengine.logging.history_buffer import HistoryBuffer

    if owner is not HistoryBuffer or name.startswith('_'):
        raise pickle.UnpicklingError(f'GLOBAL builtins.getattr for {name!r}')
    return getattr(owner, name)
