"""Rows from what a config says: ``arch=dict(widths=..., depths=..., ...)``, or what differs from a published one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from .errors import UserError, choice_error
from .variants import ALL_VARIANTS, EDGEVIT, LOCAL_MIXERS, STRIDES, V1, V2, Variant

#: What describes the structure of each family's networks.
_COMMON = ('widths', 'depths', 'expansion_ratios')
STRUCTURE = {
    V1: (*_COMMON, 'attention_blocks'),
    V2: (
        *_COMMON,
        'attention_blocks',
        'attention_downsample',
        'local_mixer',
        'local_value',
        'talking_heads',
        'stride_attention',
    ),
    EDGEVIT: (*_COMMON, 'sampling_rates', 'head_width'),
}
_DEFAULTS = {field.name: field.default for field in fields(Variant)}
_SWITCHES = ('attention_downsample', 'local_value', 'talking_heads', 'stride_attention')
#: From this stride on, whole maps attend: at 1/8 of 800 x 1344 px it would be 16,800 cells with each other.
_FIRST_ATTENTION_STRIDE = 16


def find_row(family: str, arch: str | Mapping[str, Any]) -> Variant:
    """Row that a backbone's ``arch`` means.

    Args:
        family: name of the backbone's class.
        arch: key of a published row; or a dict with ``widths``, ``depths`` and the family's other entries of
            :data:`STRUCTURE`, or with ``base``, such a key, and what differs from that row. ``expansion_ratios`` is
            one number (4 if left out), or one list per stage. ``drop_path_rate`` goes along.

    Raises:
        UserError: no such key, or a dict that describes no network of the family.
    """
    published = {row.arch: row for row in ALL_VARIANTS if row.family == family}
    if isinstance(arch, str):
        if arch not in published:
            raise choice_error('arch', arch, published)
        return published[arch]
    if not isinstance(arch, Mapping):
        raise UserError(
            f'arch must be a key ({", ".join(published)}) or a dict such as {_example(family)}; got {arch!r}.'
        )
    return _from_dict(family, dict(arch), published)


def _from_dict(family: str, arch: dict[str, Any], published: Mapping[str, Variant]) -> Variant:
    known = ('base', *STRUCTURE[family], 'drop_path_rate')
    for key in arch:
        if key not in known:
            raise choice_error(f'Entry of arch of {family}', key, known)
    base = arch.pop('base', None)
    if base is not None and base not in published:
        raise choice_error('arch.base', base, published)
    missing = [key for key in ('widths', 'depths') if key not in arch]
    if base is None and missing:
        raise UserError(f'arch has no {" and no ".join(missing)}. For example: {_example(family)}')
    given = {key: _plain(value) for key, value in arch.items()}
    start = published[base] if base is not None else None
    row = Variant(family=family, arch='', **_completed(family, given, start))
    _check(row)
    twin = next((other for other in published.values() if structure(other) == structure(row)), None)
    if twin is not None:
        return replace(twin, drop_path_rate=row.drop_path_rate)
    return replace(row, arch=f'{_joined("w", row.widths)}_{_joined("d", row.depths)}')


def structure(row: Variant) -> dict[str, Any]:
    """What a row's network is made of, as ``arch`` of a config takes it."""
    return {name: getattr(row, name) for name in STRUCTURE[row.family]}


def to_arch(row: Variant) -> str | dict[str, Any]:
    """What ``arch`` says for a row: the key of a published one, else its structure, as lists and numbers."""
    if any(row.family == other.family and structure(row) == structure(other) for other in ALL_VARIANTS):
        return row.arch
    return {name: _as_lists(value) for name, value in structure(row).items() if value != _DEFAULTS[name]}


def _completed(family: str, given: dict[str, Any], start: Variant | None) -> dict[str, Any]:
    """All of a row's entries, those that are not given from the row to start from, or as is usual."""
    values = {} if start is None else {**structure(start), 'drop_path_rate': start.drop_path_rate}
    values |= given
    depths = values['depths']
    if not isinstance(depths, tuple) or not all(_is_count(depth) and depth >= 1 for depth in depths):
        raise UserError(f'arch.depths must be numbers of blocks, 1 or more in each stage; got {depths!r}.')
    ratios = values.get('expansion_ratios', 4)
    if _is_count(ratios):
        ratios = tuple((ratios,) * depth for depth in depths)
    attention = depths if family == EDGEVIT else values.get('attention_blocks', (0,) * len(depths))
    return {**values, 'expansion_ratios': ratios, 'attention_blocks': attention}


def _check(row: Variant) -> None:
    """Raises ``UserError`` for a row that describes no network."""
    stages = len(row.depths)
    possible = (4,) if row.family == EDGEVIT else (4, 5)
    if stages not in possible:
        raise UserError(f'arch.depths has {stages} stages; {row.family} has {" or ".join(map(str, possible))}.')
    per_stage = [name for name in ('sampling_rates', 'attention_blocks') if name in STRUCTURE[row.family]]
    for name in ('widths', 'expansion_ratios', *per_stage):
        value = getattr(row, name)
        if not isinstance(value, tuple) or len(value) != stages:
            raise UserError(f'arch.{name} must have one entry for each of {stages} stages; got {value!r}.')
    for width in row.widths:
        if not _is_count(width) or width < 2 or width % 2:
            raise UserError(f'arch.widths must be even numbers of channels; got {width!r}.')
    for stage, (ratios, depth) in enumerate(zip(row.expansion_ratios, row.depths, strict=True), 1):
        if not isinstance(ratios, tuple) or len(ratios) != depth or not all(_is_count(r) and r >= 1 for r in ratios):
            raise UserError(
                f'arch.expansion_ratios of stage {stage} must be {depth} whole numbers, one for each block; '
                f'got {ratios!r}.'
            )
    (_check_edgevit if row.family == EDGEVIT else _check_attention)(row)
    if not isinstance(row.drop_path_rate, int | float) or not 0 <= row.drop_path_rate < 1:
        raise UserError(f'arch.drop_path_rate must lie in [0, 1); got {row.drop_path_rate!r}.')


def _check_attention(row: Variant) -> None:
    for stage, (count, depth) in enumerate(zip(row.attention_blocks, row.depths, strict=True)):
        if not _is_count(count) or not 0 <= count <= depth:
            raise UserError(
                f'arch.attention_blocks of stage {stage + 1} must be 0 to {depth}, its number of blocks; got {count!r}.'
            )
        if count and STRIDES[stage] < _FIRST_ATTENTION_STRIDE:
            raise UserError(
                f'arch.attention_blocks has {count} in stage {stage + 1}, at 1/{STRIDES[stage]}: '
                f'whole maps attend from 1/{_FIRST_ATTENTION_STRIDE} on (stage 3).'
            )
    for name in _SWITCHES:
        if not isinstance(getattr(row, name), bool):
            raise UserError(f'arch.{name} must be True or False; got {getattr(row, name)!r}.')
    if row.local_mixer not in LOCAL_MIXERS:
        raise choice_error('arch.local_mixer', row.local_mixer, LOCAL_MIXERS)


def _check_edgevit(row: Variant) -> None:
    if not _is_count(row.head_width) or row.head_width < 1 or any(width % row.head_width for width in row.widths):
        widths = ', '.join(map(str, row.widths))
        raise UserError(f'arch.head_width must divide all of arch.widths ({widths}); got {row.head_width!r}.')
    if not all(_is_count(rate) and rate >= 1 for rate in row.sampling_rates):
        raise UserError(f'arch.sampling_rates must be whole numbers of 1 or more; got {row.sampling_rates!r}.')


def _example(family: str) -> str:
    if family == EDGEVIT:
        return "dict(base='xxs', depths=(1, 1, 4, 2), expansion_ratios=4)"
    return 'dict(widths=(32, 64, 128, 256), depths=(2, 2, 6, 4), attention_blocks=(0, 0, 0, 2))'


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _plain(value: Any) -> Any:
    """Tuples for the lists of a config."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        return tuple(_plain(part) for part in value)
    return value


def _as_lists(value: Any) -> Any:
    return [_as_lists(part) for part in value] if isinstance(value, tuple) else value


def _joined(letter: str, values: Sequence[int]) -> str:
    return letter + '-'.join(map(str, values))
