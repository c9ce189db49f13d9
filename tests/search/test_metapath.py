"""V1's supernet: mixtures, importance, and the steps of slimming against brute force."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest
import torch
from mmengine.logging import MessageHub

pytest.importorskip('mmseg')

from mmengine.optim import OptimWrapper
from mmengine.registry import MODELS, init_default_scope

from effformer_dense.errors import UserError
from effformer_dense.search.metapath import TEMPERATURES, MetaPathSupernet, Mixture, temperature_at
from effformer_dense.search.slim import slimming_steps
from effformer_dense.search.space import State
from effformer_dense.search.walk import Walker
from effformer_dense.variants import V1
from tests.helpers import randomise
from tests.search.spaces import SPACES, small
from tests.search.tables import made_up_table
from tests.search.test_sandwich import batch, model
from tests.search.test_walk import MadeUp, score

SURE = 1e4
IMAGE = torch.rand(2, 3, 97, 64)
#: Per stage and position of the small space, some below 1: nothing is worth more there.
IMPORTANCE = [[0.2, 3.0], [0.5], [4.0, 0.1, 0.3], [0.05, 9.0]]


def supernet() -> MetaPathSupernet:
    # Without output norms: maps are then linear in what the last block gives.
    return randomise(MetaPathSupernet(dict(type=V1, drop_path_rate=0.0, out_norm=False), SPACES[V1])).eval()


def decide(net: MetaPathSupernet, state: State) -> None:
    """Alphas that leave no doubt: each position is what it is in a state."""
    for stage, blocks in enumerate(state.blocks):
        first = len(blocks) - state.attention[stage]
        kinds = {block.position: 2 if place >= first else 1 for place, block in enumerate(blocks)}
        for position in range(net.space.depths[stage]):
            alpha = net.alphas[f'{stage}_{position}']
            alpha.data = SURE * torch.eye(len(alpha))[kinds.get(position, 0)]


@pytest.mark.parametrize('seed', range(6))
def test_a_mixture_of_one_choice_each_is_the_network_of_that_choice(seed: int) -> None:
    net = supernet()
    net.state = state = net.space.random(random.Random(seed))
    expected = net(IMAGE)
    decide(net, state)
    net.state = Mixture(state.widths, 0.5, 'noise')
    for own, other in zip(net(IMAGE), expected, strict=True):
        assert torch.allclose(own, other, rtol=1e-5, atol=1e-6)


def test_a_mixture_is_the_weighted_sum_of_its_choices() -> None:
    net, alpha = supernet(), torch.tensor([0.3, -1.2, 0.7])
    decide(net, net.space.largest)
    net.state = Mixture(net.space.largest.widths, temperature=2.0)

    def last_map(values: torch.Tensor) -> torch.Tensor:
        net.alphas['3_1'].data = values
        return net(IMAGE)[3]

    parts = [last_map(SURE * one) for one in torch.eye(3)]
    shares = [math.exp(value / 2) for value in alpha.tolist()]
    expected = sum(share / sum(shares) * part for share, part in zip(shares, parts, strict=True))
    assert torch.allclose(last_map(alpha), expected, rtol=1e-4, atol=1e-5)


def test_gradients_reach_every_alpha_and_stay_within_the_widths() -> None:
    net = supernet().train()
    widths = tuple(choices[0] for choices in net.space.widths)
    net.state = Mixture(widths, 1.0, 'a')
    sum(x.square().sum() for x in net(IMAGE)).backward()
    assert all(alpha.grad is not None and alpha.grad.abs().min() > 0 for alpha in net.alphas.values())
    for block in (net.largest.stages[2].blocks[2].mlp.fc1, net.pools['2_2'].mlp.fc1.conv):
        used = (4 * widths[2], widths[2])
        assert block.weight.grad[: used[0], : used[1]].any()
        assert not block.weight.grad[used[0] :].any() and not block.weight.grad[:, used[1] :].any()


def test_noise_follows_from_the_mixture_alone() -> None:
    net = supernet()
    for seed, other in (('3 1 0', '3 1 1'), ('3 1 0', None)):
        first, again, different = (net._weights(Mixture((), 1.0, s))['2_2'] for s in (seed, seed, other))
        assert torch.equal(first, again) and not torch.equal(first, different)
        assert float(first.sum()) == pytest.approx(1.0)
    assert torch.allclose(net._weights(Mixture(()))['2_2'], torch.full((3,), 1 / 3))


def test_temperature_falls_from_the_first_iteration_to_the_last() -> None:
    assert [temperature_at(n, 10) for n in (0, 10)] == pytest.approx(TEMPERATURES)
    assert temperature_at(5, 10) == pytest.approx(math.sqrt(TEMPERATURES[0] * TEMPERATURES[1]))
    assert temperature_at(7, 0) == TEMPERATURES[0]  # nobody knows how many there will be


def test_importance_is_a_ratio_of_shares() -> None:
    net = supernet()
    net.alphas['0_1'].data = torch.tensor([-2.0, -1.0])
    net.alphas['3_0'].data = torch.tensor([1.0, -1.0, -3.0])
    found = net.importance()
    assert [len(stage) for stage in found] == list(net.space.depths)
    assert found[0] == pytest.approx([1.0, math.e])
    assert found[3] == pytest.approx([math.exp(-2) + math.exp(-4), 2.0])


def test_importance_is_in_the_order_of_positions_where_a_stage_has_more_than_ten() -> None:
    net = MetaPathSupernet(dict(type=V1), {**SPACES[V1], 'depths': (1, 1, 12, 1), 'attention': (0, 0, 0, 0)})
    for position in range(12):
        net.alphas[f'2_{position}'].data = torch.tensor([0.0, position / 10])
    assert net.importance()[2] == pytest.approx([math.exp(position / 10) for position in range(12)])


def brute_force(state: State) -> list[State]:
    """The three ways on, spelled out for the small space."""
    space, ways = small(V1), []
    importance = {
        (stage, block.position): IMPORTANCE[stage][block.position]
        for stage, blocks in enumerate(state.blocks)
        for block in blocks
    }
    can_go = {key: value for key, value in importance.items() if len(state.blocks[key[0]]) > 1}
    if can_go:
        stage, position = min(can_go, key=can_go.get)
        attends = [block.position for block in state.blocks[stage]][len(state.blocks[stage]) - state.attention[stage] :]
        blocks, attention = list(state.blocks), list(state.attention)
        blocks[stage] = tuple(block for block in blocks[stage] if block.position != position)
        attention[stage] -= position in attends
        ways.append(replace(state, blocks=tuple(blocks), attention=tuple(attention)))
    for stage, count in enumerate(state.attention):
        if count:
            attention = list(state.attention)
            attention[stage] -= 1
            ways.append(replace(state, attention=tuple(attention)))
            break
    wide = [stage for stage in range(4) if state.widths[stage] > space.widths[stage][0]]
    if wide:
        stage = min(wide, key=lambda s: sum(value for key, value in importance.items() if key[0] == s))
        widths = list(state.widths)
        widths[stage] -= 16
        ways.append(replace(state, widths=tuple(widths)))
    return ways


def test_steps_of_slimming_are_those_of_brute_force_all_the_way() -> None:
    space = small(V1)
    space = replace(space, widths=tuple(tuple(range(w[0], w[-1] + 1, 16)) for w in space.widths))
    generator, state, length = random.Random(0), space.largest, 0
    while steps := slimming_steps(space, IMPORTANCE, state):
        assert [step.state for step in steps] == brute_force(state)
        state, length = generator.choice(steps).state, length + 1
    assert state.widths == space.smallest.widths and not any(state.attention) and length == 4 + 3 + 5


def test_each_step_of_the_walk_costs_the_least_score_per_millisecond() -> None:
    space = small(V1)
    table = made_up_table(space)

    def steps(state: State) -> list:
        return slimming_steps(space, IMPORTANCE, state)

    walk = Walker(space, table, MadeUp(), steps, lambda costs: -costs['latency_ms'])
    record = walk.start()
    for number in range(6):
        after = walk.step(record, number)
        options = []
        for other in brute_force(record.state):
            gain = record.latency_ms - table.predict(other.row)
            if gain > 0:
                options.append((max(record.score - score(other), 0) / gain, -gain, other))
        assert after.state == min(options, key=lambda option: option[:2])[2]
        record = after


def training(seed: int = 3, space: dict | None = None) -> dict:
    backbone = dict(type='MetaPathSupernet', backbone=dict(type=V1), space=space or SPACES[V1])
    built = model(backbone)
    built['neck']['in_channels'] = [choices[-1] for choices in SPACES[V1]['widths']]
    return dict(type='MetaPathTraining', model=built, seed=seed)


def test_a_step_moves_weights_and_alphas_at_two_widths() -> None:
    init_default_scope('mmseg')
    trained = MODELS.build(training()).train()
    MessageHub.get_current_instance().update_info('max_iters', 10)
    try:
        wide, narrow = trained.states(5)
    finally:
        MessageHub.get_current_instance().update_info('max_iters', 0)
    space = trained.supernet.space
    assert wide.widths == space.largest.widths and all(
        w in choices for w, choices in zip(narrow.widths, space.widths, strict=True)
    )
    assert wide.temperature == narrow.temperature == pytest.approx(temperature_at(5, 10))
    assert trained.states(5) != trained.states(6) and wide.seed != narrow.seed
    before = {name: alpha.clone() for name, alpha in trained.supernet.alphas.items()}
    optimizer = OptimWrapper(torch.optim.SGD(trained.parameters(), lr=0.1))
    logged = trained.train_step(batch(), optimizer)
    assert {'loss', 'narrow.loss'} <= set(logged)
    assert all(not torch.equal(alpha, before[name]) for name, alpha in trained.supernet.alphas.items())
    assert trained.supernet.state == space.largest


def test_shares_are_learned_of_their_own_supernets_alone() -> None:
    init_default_scope('mmseg')
    wrong = training()
    wrong['model']['backbone']['type'] = 'Supernet'
    with pytest.raises(UserError, match='whose backbone is a MetaPathSupernet'):
        MODELS.build(wrong)
