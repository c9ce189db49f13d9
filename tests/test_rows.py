"""Rows: any network of the families from what a config says, and back; what describes none is refused by name."""

from __future__ import annotations

from dataclasses import replace

import pytest

from effformer_dense.errors import UserError
from effformer_dense.rows import find_row, structure, to_arch
from effformer_dense.variants import ALL_VARIANTS, EDGEVIT, EDGEVIT_VARIANTS, V1, V1_VARIANTS, V2, V2_VARIANTS
from tests.helpers import variant_id

SMALL = dict(widths=[16, 24, 32, 48], depths=[1, 1, 2, 2])


@pytest.mark.parametrize('row', ALL_VARIANTS, ids=variant_id)
def test_a_published_row_is_found_by_its_key_and_by_its_structure(row) -> None:
    assert find_row(row.family, row.arch) is row
    assert find_row(row.family, structure(row)) == replace(row, drop_path_rate=0.0)
    assert find_row(row.family, dict(base=row.arch)) == row
    assert to_arch(row) == row.arch


@pytest.mark.parametrize(
    'family, arch',
    [
        (V1, dict(**SMALL, attention_blocks=[0, 0, 1, 2], expansion_ratios=[[4], [2], [4, 3], [3, 4]])),
        (V2, dict(**SMALL, attention_blocks=[0, 0, 1, 2], attention_downsample=False)),
        (V2, dict(widths=[16, 16, 24, 32, 48], depths=[1, 1, 2, 2, 1], local_mixer='pool', talking_heads=False)),
        (EDGEVIT, dict(**SMALL, sampling_rates=[4, 2, 2, 1], head_width=8)),
    ],
    ids=str,
)
def test_any_other_row_comes_back_from_its_dict(family, arch) -> None:
    row = find_row(family, arch)
    assert find_row(family, to_arch(row)) == row
    assert row.name.startswith(f'{family} w16-')


def test_a_row_begins_at_a_published_one() -> None:
    row = find_row(V2, dict(base='s2', attention_downsample=False))
    assert structure(row) == structure(V2_VARIANTS['s2']) | dict(attention_downsample=False)
    assert row.drop_path_rate == V2_VARIANTS['s2'].drop_path_rate and row.timm_name is None


@pytest.mark.parametrize(
    'family, arch, said',
    [
        (V2, 's9', "arch='s9'.*s0, s1, s2, l|arch must be|'s9'"),
        (V2, 7, r'a dict such as dict\(widths'),
        (V2, dict(widths=[16, 24, 32, 48]), 'arch has no depths. For example'),
        (V2, dict(**SMALL, width=3), "Did you mean 'widths'"),
        (V2, dict(base='s3'), 'arch.base'),
        (V1, dict(base='l1', attention_downsample=False), "'attention_downsample'"),
        (V2, dict(widths=[16, 24, 32], depths=[1, 1, 2, 2]), 'arch.widths must have one entry for each of 4 stages'),
        (V2, dict(widths=[16, 24, 32], depths=[1, 1, 2]), 'has 3 stages'),
        (V2, dict(SMALL, widths=[15, 24, 32, 48]), 'even numbers of channels; got 15'),
        (V2, dict(SMALL, depths=[1, 1, 2, 0]), 'arch.depths'),
        (V2, dict(**SMALL, expansion_ratios=[[4], [4], [4], [4, 4]]), r'of stage 3 must be 2 .*got \(4,\)'),
        (V2, dict(**SMALL, expansion_ratios=2.5), 'arch.expansion_ratios'),
        (V2, dict(base='s0', depths=[2, 2, 7, 4]), 'expansion_ratios of stage 3 must be 7'),
        (V2, dict(**SMALL, attention_blocks=[0, 0, 3, 0]), 'of stage 3 must be 0 to 2'),
        (V2, dict(**SMALL, attention_blocks=[0, 1, 0, 0]), 'in stage 2, at 1/8'),
        (V2, dict(**SMALL, talking_heads='no'), 'arch.talking_heads must be True or False'),
        (V2, dict(**SMALL, local_mixer='pooling'), "Did you mean 'pool'"),
        (V2, dict(**SMALL, drop_path_rate=1.5), 'arch.drop_path_rate'),
        (EDGEVIT, dict(**SMALL), 'arch.head_width must divide'),
        (EDGEVIT, dict(**SMALL, head_width=8, sampling_rates=[4, 2, 2, 0]), 'arch.sampling_rates'),
        (EDGEVIT, dict(widths=[8] * 5, depths=[1] * 5, head_width=8, sampling_rates=[1] * 5), 'EdgeViT has 4'),
    ],
)
def test_what_describes_no_network_is_refused_by_name(family, arch, said) -> None:
    with pytest.raises(UserError, match=said):
        find_row(family, arch)


def test_tables_have_one_row_for_each_key() -> None:
    tables = (V1_VARIANTS, V2_VARIANTS, EDGEVIT_VARIANTS)
    assert sum(map(len, tables)) == len({row.key for row in ALL_VARIANTS})
