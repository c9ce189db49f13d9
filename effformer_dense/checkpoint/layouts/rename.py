"""Applying a table of names, from a layout into ours and back."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache

from torch import Tensor

from ...backbones.relpos import offset_index
from ...errors import UserError
from .table import Naming, Parts, Place

Renamer = Callable[[str], str | None]

_SERIES = re.compile(r'\{([^}]*)\}')
#: Numbers in names stay below this: a name of a thousand digits is none.
_MANY = 10_000
#: In V1, the MLPs of blocks on maps have norms, and those of blocks on tokens have none.
_NORM_ON_MAPS = 'mlp.fc1.norm.*'


def read(naming: Naming, state_dict: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Their entries in our layout, and {key of theirs: reason} for those left out.

    Raises:
        UserError: two entries that mean the same, or a bias table of no grid.
    """
    rename = reader(naming, state_dict)
    classifier = tuple(
        f'{name.removeprefix(naming.root)}.' for name in naming.classifier.values() if name.startswith(naming.root)
    )
    native: dict[str, Tensor] = {}
    ignored: dict[str, str] = {}
    for key, value in state_dict.items():
        reason = 'classifier' if key.startswith(classifier) else _reason_to_ignore(naming, key, state_dict)
        if reason is not None:
            ignored[key] = reason
            continue
        name = rename(_common_name(naming, key)) or key
        if name in native:
            raise UserError(
                f'Two entries of these weights mean the same in the layout {naming.layout.value}: '
                f'{key} comes a second time. Is this a mixture of two files?'
            )
        for form in naming.forms:
            if form.part in name:
                value = form.read(value, key)
        native[name] = value
    return native, ignored


def write(naming: Naming, native: Mapping[str, Tensor], maps: int) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Our entries in their layout with the index buffers it has, and {our key: reason} for those left out.

    Args:
        naming: of the family that the entries are of.
        native: entries of one backbone.
        maps: how many blocks of the last stage work on maps.
    """
    rename = writer(naming, maps)
    written: dict[str, Tensor] = {}
    left_out: dict[str, str] = {}
    for key, value in native.items():
        reason = next((reason for start, reason in naming.no_place.items() if key.startswith(start)), None)
        if reason is not None:
            left_out[key] = reason
            continue
        name = rename(key) or key
        if naming.index and key.endswith('.bias.table'):
            written[f'{name.rpartition(".")[0]}.{naming.index}'] = _index(key, value)
        for form in naming.forms:
            if form.part in key:
                value = form.write(value)
        written[name] = value
    return written, left_out


def reader(naming: Naming, keys: Iterable[str]) -> Renamer:
    """Their names to ours, None for a name that the table lacks; ``keys`` are those of the file, to count blocks."""
    maps = _count_maps(naming, keys) if any('{maps' in place.ours for place in naming.places) else 0
    return _renamer(naming, True, maps)


def _count_maps(naming: Naming, keys: Iterable[str]) -> int:
    """How many blocks of the last stage work on maps: one more than the number of the last one with such a norm."""
    norms = {place.parts[_NORM_ON_MAPS][:-1] for place in naming.places if _NORM_ON_MAPS in place.parts}
    rename = _renamer(naming, True, None)
    names = [rename(key) or '' for key in keys if any(norm in key for norm in norms)]
    numbers = [int(match[1]) for match in map(re.compile(r'stages\.3\.blocks\.(\d+)\.').match, names) if match]
    return max(numbers, default=-1) + 1


def writer(naming: Naming, maps: int) -> Renamer:
    """Our names to theirs, None for a name that the table lacks."""
    return _renamer(naming, False, maps)


@lru_cache(maxsize=64)
def _renamer(naming: Naming, to_ours: bool, maps: int | None) -> Renamer:
    """Tries every place in turn. Without ``maps`` all blocks of the last stage pass for blocks on maps."""
    places = [place for place in naming.places if maps is not None or '{maps' not in place.ours]
    routes = [_route(place, to_ours, maps or 0) for place in places]

    def rename(key: str) -> str | None:
        for route in routes:
            name = route(key)
            if name is not None:
                return name
        return None

    return rename


def _route(place: Place, to_ours: bool, maps: int) -> Renamer:
    """One place, one way."""
    source, target = (place.theirs, place.ours) if to_ours else (place.ours, place.theirs)
    parts = {theirs: ours for ours, theirs in place.parts.items()} if to_ours else place.parts
    numbers = [_series(text, maps) for text in _SERIES.findall(source)]
    others = [_series(text, maps) for text in _SERIES.findall(target)]
    pattern = re.compile(_number_pattern(source))
    template = _SERIES.sub('{}', target)

    def rename(key: str) -> str | None:
        match = pattern.match(key)
        part = _rename_part(key[match.end() :], parts) if match else None
        if match is None or part is None:
            return None
        found = []
        for text, series, other in zip(match.groups(), numbers, others, strict=True):
            if int(text) not in series:
                return None
            found.append(other[series.index(int(text))])
        return f'{template.format(*found)}.{part}'

    return rename


def _series(text: str, maps: int) -> Sequence[int]:
    """``0,2,4,6`` or ``maps+1..``, see :class:`.table.Place`."""
    if not text.endswith('..'):
        return tuple(map(int, text.split(',')))
    first = sum(maps if term == 'maps' else int(term) for term in text[:-2].split('+'))
    return range(first, first + _MANY)


def _number_pattern(template: str) -> str:
    """Regular expression of a place's name and the dot after it, with a group for each series."""
    literals = map(re.escape, _SERIES.split(template)[::2])
    return r'(0|[1-9][0-9]{0,3})'.join(literals) + r'\.'


def _rename_part(name: str, parts: Parts) -> str | None:
    if name in parts:
        return parts[name]
    start, dot, leaf = name.rpartition('.')
    found = parts.get(f'{start}{dot}*')
    return None if found is None else found[:-1] + leaf


def _reason_to_ignore(naming: Naming, key: str, state_dict: Mapping[str, Tensor]) -> str | None:
    for ending, reason in naming.ignored.items():
        if key.endswith(ending):
            return reason
    copy = naming.copy
    if copy is not None and key.endswith(copy.name) and key.removesuffix(copy.name) + copy.live in state_dict:
        return copy.reason
    return None


def _common_name(naming: Naming, key: str) -> str:
    """``key``, or the name that the table has, for the live one of two copies."""
    if naming.copy is None or not key.endswith(naming.copy.live):
        return key
    return key.removesuffix(naming.copy.live) + naming.copy.name


def _index(key: str, table: Tensor) -> Tensor:
    """Index buffer of a table; that of the attention downsampling has every second cell as query."""
    _, height, width = table.shape
    return offset_index(height, width, stride=2 if '.downsample.' in key else 1)
