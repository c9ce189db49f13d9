"""Tables of names: exact there and back for every variant, complete, without dead rows, and as published."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import pytest
import torch
from torch import Tensor

from effformer_dense.checkpoint import Layout, detect_layout, to_native
from effformer_dense.checkpoint.layouts.known import NAMINGS
from effformer_dense.checkpoint.layouts.rename import read, write, writer
from effformer_dense.checkpoint.layouts.table import Naming, Place
from effformer_dense.variants import ALL_VARIANTS, EDGEVIT_VARIANTS, V1, V1_VARIANTS, V2, Variant
from tests.helpers import build, variant_id

TABLES = [naming for naming in NAMINGS if naming.places]
PAIRS = [
    pytest.param(naming, variant, id=f'{naming.layout.value}-{variant_id(variant)}')
    for naming in TABLES
    for variant in ALL_VARIANTS
    if variant.family in naming.families
]


@cache
def _native(variant: Variant) -> dict[str, Tensor]:
    """A number of its own in every entry, in every cell of tables; nothing large is made."""
    with torch.device('meta'):
        state = build(variant, out_norm=True).state_dict()
    return {
        key: torch.arange(float(value.numel())).reshape(value.shape)
        if key.endswith('.table')
        else torch.tensor(float(number)).expand(value.shape)
        for number, (key, value) in enumerate(state.items())
    }


def _maps(variant: Variant) -> int:
    return variant.depths[-1] - variant.attention_blocks[-1]


def _has_place(naming: Naming, key: str) -> bool:
    return not key.startswith(tuple(naming.no_place))


@pytest.mark.parametrize(('naming', 'variant'), PAIRS)
def test_there_and_back_is_exact(naming: Naming, variant: Variant) -> None:
    native = _native(variant)
    theirs, left_out = write(naming, native, _maps(variant))
    back, ignored = read(naming, theirs)
    assert list(back) == [key for key in native if _has_place(naming, key)]
    assert left_out.keys() == native.keys() - back.keys()
    assert len(theirs) == len(back) + len(ignored) and set(ignored.values()) <= {'derivable index'}
    for key, value in back.items():
        assert value.shape == native[key].shape and torch.equal(value, native[key]), key
    assert detect_layout(theirs) is naming.layout
    assert to_native(theirs)[0].keys() == back.keys(), 'taken for another family'


@pytest.mark.parametrize(('naming', 'variant'), PAIRS)
def test_every_entry_of_a_variant_has_a_place(naming: Naming, variant: Variant) -> None:
    rename = writer(naming, _maps(variant))
    assert [key for key in _native(variant) if _has_place(naming, key) and rename(key) is None] == []


@pytest.mark.parametrize('naming', TABLES, ids=lambda naming: f'{naming.layout.value}-{"-".join(naming.families)}')
def test_no_row_is_dead(naming: Naming) -> None:
    """Without any of them, some entry of the smallest variant has no name, or another one."""
    variant = next(variant for variant in ALL_VARIANTS if variant.family in naming.families)
    names = _names(naming, variant)
    rows = [(place, row) for place in naming.places for row in place.parts]
    assert len(rows) > 20
    assert [(place.ours, row) for place, row in rows if _names(_without(naming, place, row), variant) == names] == []


def _names(naming: Naming, variant: Variant) -> list[str | None]:
    return list(map(writer(naming, _maps(variant)), _native(variant)))


def _without(naming: Naming, place: Place, row: str) -> Naming:
    lean = replace(place, parts={ours: theirs for ours, theirs in place.parts.items() if ours != row})
    return replace(naming, places=tuple(lean if other is place else other for other in naming.places))


PUBLISHED = [
    pytest.param(source, variant, id=f'{source}-{variant_id(variant)}')
    for source in ('official_imagenet', 'mmpretrain', 'huggingface')
    for variant in ALL_VARIANTS
    if variant.family == V1 or (source == 'official_imagenet' and variant.family == V2)
]
PUBLISHED += [pytest.param('', variant, id=variant_id(variant)) for variant in EDGEVIT_VARIANTS.values()]


@pytest.mark.parametrize(('source', 'variant'), PUBLISHED)
def test_what_is_written_has_the_names_and_shapes_of_published_files(
    source: str, variant: Variant, golden_layout: Callable[[str], dict[str, list[int]]]
) -> None:
    published = golden_layout(f'{source}_{variant_id(variant)}'.lstrip('_'))
    naming = next(row for row in TABLES if row.root + row.markers[0] in published and variant.family in row.families)
    classifier = tuple(f'{name}.' for name in naming.classifier.values())
    native = {key: value for key, value in _native(variant).items() if not key.startswith('out_norms.')}
    written, _ = write(naming, native, _maps(variant))
    assert {naming.root + key: list(value.shape) for key, value in written.items()} == {
        key: shape for key, shape in published.items() if not key.startswith(classifier)
    }


def test_numbers_that_no_series_has_are_left_as_they_are() -> None:
    """Zeros in front, more digits than any block, a stage too many: none is taken for another entry."""
    native = _native(V1_VARIANTS['l1'])
    naming = next(row for row in TABLES if row.layout is Layout.OFFICIAL and V1 in row.families)
    theirs, _ = write(naming, native, _maps(V1_VARIANTS['l1']))
    odd = [f'network.{number}.layer_scale_1' for number in ('0.00', '8.0', '1.0', '0.' + '9' * 5000, '6.-1', '0.٣')]
    back, _ = to_native(theirs | {key: torch.ones(1) for key in odd})
    assert back.keys() - native.keys() == set(odd)


@pytest.mark.parametrize('lost', ['network.6.0.', 'network.6.1.', 'network.6.3.', 'network.0.0.mlp.fc1.weight'])
def test_what_is_lost_from_a_file_is_all_that_is_missing(lost: str) -> None:
    """Whole blocks of the last stage too, where V1's flattening makes a gap in the numbers anyway."""
    variant = V1_VARIANTS['l3']
    native = _native(variant)
    naming = next(row for row in TABLES if row.layout is Layout.OFFICIAL and V1 in row.families)
    gone = {key for key in native if (writer(naming, _maps(variant))(key) or '').startswith(lost)}
    theirs, _ = write(naming, native, _maps(variant))
    back, _ = to_native({key: value for key, value in theirs.items() if not key.startswith(lost)})
    assert gone and back.keys() == native.keys() - gone
