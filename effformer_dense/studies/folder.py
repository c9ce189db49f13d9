"""The folder of a study: whose it is, and that one process works on it at a time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UserError
from ..files import write_text
from ..locks import HeldError, locked

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def claim(folder: Path, settings: DataclassInstance) -> None:
    """Make a folder that of a study, or find that it is.

    Raises:
        UserError: it holds a study of other settings; the differences are named.
    """
    wanted = json.loads(json.dumps(asdict(settings)))
    place = folder / 'settings.json'
    if not place.exists():
        write_text(place, json.dumps(wanted, indent=1))
        return
    found: dict[str, Any] = json.loads(place.read_text())
    different = [name for name in {**found, **wanted} if found.get(name) != wanted.get(name)]
    if different:
        said = '; '.join(f'{name} is {found.get(name)} there and {wanted.get(name)} here' for name in different)
        raise UserError(f'{folder} holds a study of other settings: {said}. Name another folder with --out.')


@contextmanager
def working_on(folder: Path, settings: DataclassInstance) -> Iterator[None]:
    """Claim a folder, and hold it.

    Raises:
        UserError: it holds a study of other settings, or another process works on it.
    """
    claim(folder, settings)
    try:
        with locked(folder / '.lock', wait=False):
            yield
    except HeldError as error:
        raise UserError(
            f'Another process works on {folder}. Wait for it, or name another folder with --out.'
        ) from error
