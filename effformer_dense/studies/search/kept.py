"""Networks that a part of the study came to, kept in a file, so that it need not be done twice."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from ...errors import UserError
from ...files import write_text
from ...search.space import State

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    class _Network(DataclassInstance, Protocol):
        @property
        def state(self) -> State: ...


Network = TypeVar('Network', bound='_Network')


def kept(place: Path, kind: Callable[..., Network], find: Callable[[], Sequence[Network]]) -> list[Network]:
    """What is in a file, which is made if it is not there.

    Args:
        place: of the file, JSON.
        kind: the dataclass of the entries. What else than a ``state`` is in it has to be plain values.
        find: called where there is no file.

    Raises:
        UserError: the file has other entries.
    """
    if not place.exists():
        entries = [{**asdict(one), 'state': one.state.to_dict()} for one in find()]
        write_text(place, json.dumps(entries, indent=1))
    content: list[dict[str, Any]] = json.loads(place.read_text())
    try:
        return [kind(**{**entry, 'state': State.from_dict(entry['state'])}) for entry in content]
    except (KeyError, TypeError) as error:
        raise UserError(f'{place} was written by another version: remove it, and it is made again.') from error
