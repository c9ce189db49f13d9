"""Loaders for MMEngine's ``CheckpointLoader``: names of the hub, and files and URLs read without running anything.

The names are additions, made when the package is imported. MMEngine's own loaders of files and URLs run what is in a
pickle if it cannot be read otherwise; ours take their place while one of our backbones is initialised or one of our
tools works (:func:`safe_loaders`), and for good where somebody asks for it (:func:`use_safe_loaders`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import urlparse

import torch
from mmengine.dist import barrier, get_rank
from mmengine.runner import CheckpointLoader

from ..errors import MissingFileError, UserError
from .hub import HUGGING_FACE_SCHEME, TIMM_SCHEME, fetch_huggingface, fetch_timm
from .read import read_file

Loader = Callable[..., Any]

WEB_SCHEMES = ('http://', 'https://')
#: MMEngine's patterns of object stores. It falls back to unpickling whatever comes from there.
_STORES = ('pavi://', r'(\S+\:)?s3://', r'(\S+\:)?petrel://')


def load_from_timm(filename: str, map_location: Any = None) -> Any:
    """``timm://NAME``; errors as :func:`.hub.fetch_timm` and :func:`.read.read_file`."""
    return _read(fetch_timm(filename.removeprefix(TIMM_SCHEME)), map_location)


def load_from_huggingface(filename: str, map_location: Any = None) -> Any:
    """``hf://OWNER/NAME``; errors as :func:`.hub.fetch_huggingface` and :func:`.read.read_file`."""
    return _read(fetch_huggingface(filename.removeprefix(HUGGING_FACE_SCHEME)), map_location)


def load_from_local(filename: str, map_location: Any = None) -> Any:
    """A path; errors as :func:`.read.read_file`."""
    return _read(filename, map_location)


def load_from_http(filename: str, map_location: Any = None) -> Any:
    """A URL, kept after the first time; errors as :func:`fetch_url` and :func:`.read.read_file`."""
    path = fetch_url(filename) if get_rank() == 0 else None
    barrier()  # the other processes of the run find the file there
    return _read(path or fetch_url(filename), map_location)


def fetch_url(url: str) -> Path:
    """Local copy of what is at a URL, downloaded on first use.

    Raises:
        MissingFileError: not there, or not to be reached.
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


def load_from_store(filename: str, map_location: Any = None) -> Any:
    """No object store.

    Raises:
        UserError: always.
    """
    raise UserError(
        f'{filename} would be read by MMEngine in a way that runs what is in the file. Download it and name that file.'
    )


_NAMES: dict[str, Loader] = {TIMM_SCHEME: load_from_timm, HUGGING_FACE_SCHEME: load_from_huggingface}
_SAFE: dict[str, Loader] = {
    '': load_from_local,
    **_NAMES,
    **dict.fromkeys(WEB_SCHEMES, load_from_http),
    **dict.fromkeys(_STORES, load_from_store),
}


def register_names() -> None:
    """Teach MMEngine the names of the hub, unless somebody else has taught it others."""
    for prefix, loader in _NAMES.items():
        if prefix not in CheckpointLoader._schemes:
            CheckpointLoader.register_scheme(prefixes=prefix, loader=loader)


def use_safe_loaders() -> None:
    """Make MMEngine read every checkpoint of this process without running anything in it.

    That goes for all of MMEngine, mmdet and mmsegmentation: ``load_checkpoint``, ``init_cfg``, ``load_from``,
    ``resume``, ``init_detector``. A pickle that wants more than weights need is refused by name, see
    :func:`.read.read_file`.
    """
    for prefix, loader in _SAFE.items():
        CheckpointLoader.register_scheme(prefixes=prefix, loader=loader, force=True)


@contextmanager
def safe_loaders() -> Iterator[None]:
    """:func:`use_safe_loaders` for the time of a ``with`` block, or of a decorated function."""
    before = {prefix: CheckpointLoader._schemes[prefix] for prefix in _SAFE if prefix in CheckpointLoader._schemes}
    use_safe_loaders()
    try:
        yield
    finally:
        for prefix, loader in before.items():
            CheckpointLoader.register_scheme(prefixes=prefix, loader=loader, force=True)


def _read(path: Path | str, map_location: Any) -> Any:
    """Content of a file, without the config that mmcv 1 kept as text: MMEngine's ``Runner.resume`` would run that."""
    content = read_file(path, map_location)
    meta = content.get('meta') if isinstance(content, dict) else None
    if isinstance(meta, dict):
        meta.pop('config', None)
    return content
