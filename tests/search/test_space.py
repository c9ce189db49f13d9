"""Spaces: which states there are, what one action makes of a state, and what is no space."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from effformer_dense.errors import UserError
from effformer_dense.search.space import ACTIONS, DEFAULTS, PAPER_ACTIONS, Block, Space, State
from effformer_dense.variants import ALL_VARIANTS, EDGEVIT, V1, V2, V2_VARIANTS
from tests.helpers import variant_id
from tests.search.spaces import SMALL_V2, small

PUBLISHED = [row for row in ALL_VARIANTS if row.family != EDGEVIT]


@pytest.mark.parametrize('row', PUBLISHED, ids=variant_id)
def test_published_rows_are_states_of_the_default_space(row) -> None:
    state = DEFAULTS[row.family].state_of(row)
    assert state.row == replace(row, drop_path_rate=0.0)
    assert State.from_dict(state.to_dict()) == state


@pytest.mark.parametrize('row', PUBLISHED, ids=variant_id)
def test_a_published_row_is_reached_from_the_largest_network_by_actions(row) -> None:
    space = DEFAULTS[row.family]
    wanted, state = space.state_of(row), space.largest
    for _ in range(1000):
        if state == wanted:
            return
        state = next(step.state for step in space.frontier(state) if _still_holds(step.state, wanted))
    raise AssertionError('never reached')


def _still_holds(state: State, wanted: State) -> bool:
    """Whether ``wanted`` can be reached from ``state`` by making it smaller."""
    for stage, blocks in enumerate(wanted.blocks):
        ratios = {block.position: block.ratio for block in state.blocks[stage]}
        if any(ratios.get(block.position, 0) < block.ratio for block in blocks):
            return False
    return (
        all(a >= b for a, b in zip(state.widths, wanted.widths, strict=True))
        and all(a >= b for a, b in zip(state.attention, wanted.attention, strict=True))
        and state.attention_downsample >= wanted.attention_downsample
    )


@pytest.mark.parametrize('family', [V1, V2])
def test_random_states_lie_in_the_space_and_differ(family) -> None:
    space = small(family)
    states = [space.random(random.Random(seed)) for seed in range(200)]
    for state in states:
        space.check_state(state)
        assert all(1 <= len(blocks) <= depth for blocks, depth in zip(state.blocks, space.depths, strict=True))
        assert state.row.family == family  # and describes a network
    assert len(set(states)) > 50
    assert space.random(random.Random(3)) == states[3]


def test_the_frontier_is_all_that_one_action_leads_to() -> None:
    space = small(V2)
    steps = space.frontier(space.largest)
    assert {step.action for step in steps} == set(ACTIONS)
    # Blocks of stages with more than one; widths; ratios of all eight blocks; attention of two stages; downsampling.
    assert [sum(step.action == action for step in steps) for action in ACTIONS] == [7, 4, 8, 2, 1]
    assert {step.action for step in space.frontier(space.largest, PAPER_ACTIONS)} == set(PAPER_ACTIONS)
    assert len({step.state for step in steps}) == len(steps)
    assert space.frontier(space.smallest) == []


def test_a_dropped_block_takes_its_attention_along() -> None:
    space = small(V2)
    third = {
        step.position: step.state for step in space.frontier(space.largest) if (step.action, step.stage) == ('drop', 2)
    }
    assert third[0].attention[2] == 2 and third[1].attention[2] == third[2].attention[2] == 1
    assert third[1].blocks[2] == (Block(0, 3), Block(2, 3))
    assert [str(step) for step in space.frontier(space.largest)][:2] == [
        'drop block 1 of stage 1', 'drop block 2 of stage 1'
    ]  # fmt: skip


def test_prefixes_are_equal_up_to_the_stage_that_an_action_changes() -> None:
    space = small(V2)
    for step in space.frontier(space.largest):
        equal = [step.state.prefix(stages) == space.largest.prefix(stages) for stages in range(5)]
        assert equal == [True] * equal.index(False) + [False] * (5 - equal.index(False))
        changed = step.stage + 1 if (step.action, step.stage) != ('narrow', 0) else 0
        assert equal.index(False) == changed


@pytest.mark.parametrize(
    'change, said',
    [
        (dict(width=3), "'width'"),
        (dict(widths=((16, 8), (16,), (16,), (16,))), 'increasing numbers'),
        (dict(ratios=(4, 3)), 'space.ratios must be increasing'),
        (dict(depths=(1, 1, 1)), 'four entries'),
        (dict(depths=3), 'space.depths must be a list'),
        (dict(depths=(1, 1.5, 1, 1)), 'space.depths must be whole numbers'),
        (dict(ratios=4), 'space.ratios must be increasing numbers; got 4'),
        (dict(widths='x'), "space.widths must be a list.*got 'x'"),
        (dict(widths=((8,), 'x', (16,), (16,))), "stage 2 must be increasing numbers; got 'x'"),
        (dict(attention_downsample=1), 'must be True or False; got 1'),
        (dict(attention=(0, 1, 0, 0)), 'at 1/8'),
        (dict(depths=(1, 1, 0, 1)), 'numbers of blocks'),
    ],
)
def test_what_is_no_space_is_refused_by_name(change, said) -> None:
    with pytest.raises(UserError, match=said):
        Space.from_config(V2, {**SMALL_V2, **change})


def test_rows_outside_a_space_are_refused_by_what_does_not_fit() -> None:
    with pytest.raises(UserError, match='s0 has 2 blocks in stage 2, 0 with attention, and the space has 1'):
        small(V2).state_of(V2_VARIANTS['s0'])
    with pytest.raises(UserError, match='Stage 4 has 176 channels'):
        replace(DEFAULTS[V2], widths=(*DEFAULTS[V2].widths[:3], (128, 384))).state_of(V2_VARIANTS['s0'])
    with pytest.raises(UserError, match='EdgeViT'):
        Space.from_config(EDGEVIT)
