"""What MMEngine reads checkpoints with, wherever a config or a tool names one.

Importing the package sets them: the names of the hub, and reading that runs nothing, for local files and URLs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import urlparse

import torch
from mmengine.dist import barrier, get_rank
from mmengine.runner import CheckpointLoader

from ..errors import MissingFileError
from .hub import HUGGING_FACE_SCHEME, TIMM_SCHEME, fetch_huggingface, fetch_timm
from .read import read_file

WEB_SCHEMES = ('http://', 'https://')


def load_from_timm(filename: str, map_location: Any = None) -> Any:
    """``timm://NAME``; errors as :func:`.hub.fetch_timm` and :func:`.read.read_file`."""
    return read_file(fetch_timm(filename.removeprefix(TIMM_SCHEME)), map_location)


def load_from_huggingface(filename: str, map_location: Any = None) -> Any:
    """``hf://OWNER/NAME``; errors as :func:`.hub.fetch_huggingface` and :func:`.read.read_file`."""
    return read_file(fetch_huggingface(filename.removeprefix(HUGGING_FACE_SCHEME)), map_location)


def load_from_local(filename: str, map_location: Any = None) -> Any:
    """A path; errors as :func:`.read.read_file`."""
    return read_file(filename, map_location)


def load_from_http(filename: str, map_location: Any = None) -> Any:
    """A URL, kept after the first time; errors as :func:`fetch_url` and :func:`.read.read_file`."""
    path = fetch_url(filename) if get_rank() == 0 else None
    barrier()  # the other processes of the run find the file there
    return read_file(path or fetch_url(filename), map_location)


def fetch_url(url: str) -> Path:
    """Local copy of what is at a URL, downloaded on first use.

    Raises:
        FileNotFoundError: not there, or not to be reached.
    """
    address = hashlib.sha256(url.encode()).hexdigest()[:8]  # files of one name at two places stay apart
    path = Path(torch.hub.get_dir()) / 'checkpoints' / f'{address}-{Path(urlparse(url).path).name or "download"}'
    if path.is_file():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        torch.hub.download_url_to_file(url, str(path), progress=True)
    except (URLError, OSError, ValueError) as error:
        raise MissingFileError(
            f'{url} could not be downloaded ({error}). '
            'Download it on a machine with network and name that file instead.'
        ) from error
    return path


def register() -> None:
    """Make MMEngine's checkpoint loader use these."""
    loaders: dict[str, Callable] = {
        TIMM_SCHEME: load_from_timm,
        HUGGING_FACE_SCHEME: load_from_huggingface,
        **dict.fromkeys(WEB_SCHEMES, load_from_http),
        '': load_from_local,
    }
    for prefix, loader in loaders.items():
        CheckpointLoader.register_scheme(prefixes=prefix, loader=loader, force=True)
