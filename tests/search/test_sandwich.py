"""A step of the sandwich is the sum of its sub-networks' gradients; processes stay equal."""

from __future__ import annotations

import copy

import pytest
import torch

pytest.importorskip('mmseg')

from mmengine.optim import OptimWrapper
from mmengine.registry import MODELS, init_default_scope
from torch import multiprocessing

from effformer_dense.engine.training.statistics import average_statistics
from effformer_dense.errors import UserError
from effformer_dense.search.sandwich import Sandwich, SandwichProcesses
from effformer_dense.variants import V2
from tests.helpers import free_port
from tests.search.spaces import SPACES

WIDTHS = [choices[-1] for choices in SPACES[V2]['widths']]


def model(backbone: dict | None = None) -> dict:
    return dict(
        type='mmseg.EncoderDecoder',
        data_preprocessor=dict(type='mmseg.SegDataPreProcessor', mean=[0.0] * 3, std=[255.0] * 3, size=(64, 64)),
        backbone=backbone or dict(type='Supernet', backbone=dict(type=V2), space=SPACES[V2]),
        neck=dict(type='mmseg.FPN', in_channels=WIDTHS, out_channels=8, num_outs=4),
        decode_head=dict(
            type='mmseg.FPNHead', in_channels=[8] * 4, in_index=[0, 1, 2, 3], feature_strides=[4, 8, 16, 32],
            channels=8, num_classes=3, dropout_ratio=0.0, norm_cfg=dict(type='BN'),
        ),
        test_cfg=dict(mode='whole'),
    )  # fmt: skip


def batch(seed: int = 0) -> dict:
    from mmengine.structures import PixelData
    from mmseg.structures import SegDataSample

    generator = torch.Generator().manual_seed(seed)
    samples = [SegDataSample(metainfo=dict(img_shape=(64, 64), ori_shape=(64, 64))) for _ in range(2)]
    for sample in samples:
        sample.gt_sem_seg = PixelData(data=torch.randint(0, 3, (1, 64, 64), generator=generator))
    images = [torch.randint(0, 256, (3, 64, 64), dtype=torch.uint8, generator=generator) for _ in range(2)]
    return dict(inputs=images, data_samples=samples)


def build(seed: int = 0) -> Sandwich:
    init_default_scope('mmseg')
    torch.manual_seed(seed)
    sandwich = MODELS.build(dict(type='Sandwich', model=model(), seed=3))
    sandwich.init_weights()
    return sandwich.train()


class KeptGradients(torch.optim.SGD):
    """Remembers what it is given."""

    def step(self, closure=None):
        self.given = {
            id(p): p.grad.clone() for group in self.param_groups for p in group['params'] if p.grad is not None
        }
        return super().step(closure)


def test_gradients_of_a_step_are_the_sum_of_those_of_its_networks() -> None:
    sandwich = build()
    alone = copy.deepcopy(sandwich)
    optimizer = KeptGradients(sandwich.parameters(), lr=0.1)
    logged = sandwich.train_step(batch(), OptimWrapper(optimizer))
    assert {'loss', 'smallest.loss'} <= set(logged)
    total: dict[str, torch.Tensor] = {}
    states = alone.states(0)
    assert len(states) == 4 and states[:2] == [alone.supernet.space.largest, alone.supernet.space.smallest]
    for state in states:
        single = copy.deepcopy(alone)
        single.supernet.state = state
        data = single.data_preprocessor(batch(), True)
        single.parse_losses(single.model(**data, mode='loss'))[0].backward()
        for name, parameter in single.named_parameters():
            if parameter.grad is not None:
                total[name] = total.get(name, 0) + parameter.grad
    given = {name: optimizer.given[id(p)] for name, p in sandwich.named_parameters() if id(p) in optimizer.given}
    assert given.keys() == total.keys()
    for name, gradient in total.items():
        # Norms of the head see the networks one after the other: their statistics do not enter gradients.
        assert torch.allclose(given[name], gradient, rtol=1e-4, atol=1e-6), name
    assert sandwich.supernet.state == sandwich.supernet.space.largest and int(sandwich.iteration) == 1


def test_several_iterations_make_one_step_where_the_config_accumulates() -> None:
    parts = build()
    optimizer = KeptGradients(parts.parameters(), lr=0.1)
    accumulating = OptimWrapper(optimizer, accumulative_counts=2)
    for iteration in range(2):
        before = copy.deepcopy(parts.state_dict())
        parts.train_step(batch(iteration), accumulating)
        stem = 'model.backbone.largest.stem.conv1.conv.weight'
        assert torch.equal(before[stem], parts.state_dict()[stem]) == (iteration == 0)
    assert accumulating.inner_count == 2
    gradients = []
    for iteration in range(2):
        single = build()
        single.iteration.fill_(iteration)  # which networks it draws
        alone = KeptGradients(single.parameters(), lr=0.0)
        single.train_step(batch(iteration), OptimWrapper(alone))
        gradients.append({name: alone.given.get(id(p)) for name, p in single.named_parameters()})
    for name, parameter in parts.named_parameters():
        both = [given[name] for given in gradients if given[name] is not None]
        if both:
            assert torch.allclose(optimizer.given[id(parameter)], sum(both) / 2, rtol=1e-3, atol=1e-6), name


def test_networks_of_a_step_follow_from_iteration_and_seed() -> None:
    sandwich = build()
    assert sandwich.states(5) == sandwich.states(5) != sandwich.states(6)
    other = Sandwich(model(), seed=4)
    assert other.states(5)[2:] != sandwich.states(5)[2:]


def test_it_is_trained_of_supernets_alone() -> None:
    init_default_scope('mmseg')
    plain = model(dict(type=V2, arch=dict(widths=WIDTHS, depths=[1] * 4)))
    with pytest.raises(UserError, match='whose backbone is a Supernet'):
        Sandwich(plain)


def _rank(rank: int, port: int, folder: str) -> None:
    import torch.distributed as dist

    torch.set_num_threads(1)
    dist.init_process_group('gloo', init_method=f'tcp://127.0.0.1:{port}', rank=rank, world_size=2)
    sandwich = SandwichProcesses(build(seed=rank))  # of different weights at first
    optimizer = OptimWrapper(torch.optim.SGD(sandwich.parameters(), lr=0.05))
    for step in range(20):
        sandwich.train_step(batch(seed=2 * step + rank), optimizer)
        average_statistics(sandwich)  # as the hook of all trainings does
    torch.save(sandwich.module.state_dict(), f'{folder}/{rank}.pth')
    dist.barrier()
    dist.destroy_process_group()


@pytest.mark.slow
def test_two_processes_are_equal_to_the_bit_after_twenty_steps(tmp_path) -> None:
    multiprocessing.spawn(_rank, args=(free_port(), str(tmp_path)), nprocs=2)
    first, second = (torch.load(tmp_path / f'{rank}.pth') for rank in range(2))
    assert all(torch.equal(value, second[name]) for name, value in first.items())
    start = build(seed=0).state_dict()
    assert not torch.equal(
        start['model.backbone.largest.stem.conv1.conv.weight'], first['model.backbone.largest.stem.conv1.conv.weight']
    )
