"""What is counted of a network, and what the machine can do."""

from __future__ import annotations

import os

import pytest
import torch

from effformer_dense.benchmark import subjects, yardstick
from effformer_dense.benchmark.cases import Case
from effformer_dense.benchmark.others import Clock, cores_of_others
from effformer_dense.benchmark.work import count_work
from effformer_dense.benchmark.yardstick import Pace, Work, Yardstick


@pytest.mark.parametrize(('model', 'published'), [('v2_s0', 0.40), ('v1_l1', 1.3)])
def test_operations_are_those_of_the_papers(model: str, published: float) -> None:
    """Table 1 of arXiv 2212.08059 and 2206.01191, at 224 px, the classifier left out; 0.989 and 0.993 were seen."""
    assert count_work(Case(model, 224, 224)).flops / 2e9 == pytest.approx(published, rel=0.012)


def test_a_training_step_counts_as_three_forward_passes() -> None:
    forward, step = (count_work(Case('v2_s0', 96, 96, train=train)) for train in (False, True))
    assert (step.flops, step.bytes) == (3 * forward.flops, 3 * forward.bytes)


def test_chunks_count_as_the_whole() -> None:
    """At 640 px attention is computed in several chunks, in place; each product must be counted once."""
    tokens, half, heads = 20 * 20, 20 * 20 * 4, 8
    scores = 4 * heads * tokens * tokens * (32 + 128 + 2 * heads) + heads * tokens * half * (16 + 64)
    small = count_work(Case('v2_s0', 32, 32)).flops / 2
    linear = (small - 4 * heads * (32 + 128 + 2 * heads) - heads * 4 * 80) * 400
    assert count_work(Case('v2_s0', 640, 640)).flops / 2 == pytest.approx(linear + scores, rel=0.003)  # 0.998 seen


@pytest.mark.parametrize(('mode', 'calls'), [('compiled', 1), ('fused+compiled', 1), ('fused', 0)])
def test_networks_are_compiled_as_the_commands_do(mode: str, calls: int, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[dict] = []
    monkeypatch.setattr(subjects, 'speed_up', lambda model, **options: seen.append(options))
    subjects.build_subject(Case('v2_s0', 32, 32, mode=mode))
    assert seen == [dict(fused=False, compiled=True)] * calls


@pytest.mark.parametrize('model', ['v2_s0', 'v1_l1'])
def test_traffic_is_what_layers_read_and_write(model: str) -> None:
    """Added up by hooks on the layers of the network as it is, and without looking at operators."""
    from mmengine.registry import MODELS

    from effformer_dense.benchmark.models import variant_names

    row = variant_names()[model]
    network = MODELS.build(dict(type=row.family, arch=row.arch)).eval()
    seen = []
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d | torch.nn.Linear):
            module.register_forward_hook(
                lambda layer, inputs, output: seen.append(
                    sum(tensor.nbytes for tensor in (inputs[0], output, *layer.parameters()))
                )
            )
    with torch.no_grad():
        network(torch.zeros(1, 3, 96, 160))
    # Talking heads are layers here and products of attention there: a hundredth.
    assert count_work(Case(model, 96, 160)).bytes == pytest.approx(sum(seen), rel=0.02)


def test_half_precision_moves_half_the_bytes() -> None:
    full, half = (count_work(Case('v2_s0', 64, 64, precision=name)) for name in ('fp32', 'bf16'))
    assert (half.bytes, half.flops) == (full.bytes / 2, full.flops)


def test_floor_adds_operations_and_bytes() -> None:
    assert Work(flops=6e9, bytes=4e9).floor_s(Pace(flops_per_s=3e9, bytes_per_s=8e9)) == pytest.approx(2.5)


def test_pace_is_that_of_the_best_convolution(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yardstick, '_MAP_SIDE', {'cpu': 8})
    monkeypatch.setattr(yardstick, '_COPIED_BYTES', 2**16)
    stick = Yardstick('cpu', torch.float32)
    monkeypatch.setattr(stick, '_seconds', lambda call: 2.0)
    pace = stick.pace()
    assert pace.flops_per_s in {2 * 512**2 * 64 / 2, 2 * 256**2 * 9 * 64 / 2}
    assert pace.bytes_per_s == 2**16


def test_cores_of_others_are_those_that_are_not_ours() -> None:
    assert cores_of_others(Clock(0.0, 100.0), Clock(10.0, 125.0), own_cpu_s=20.0) == pytest.approx(0.5)
    assert cores_of_others(Clock(0.0, 100.0), Clock(10.0, 110.0), own_cpu_s=20.0) == 0  # clocks tick
    assert cores_of_others(Clock(0.0, None), Clock(1.0, None), own_cpu_s=1.0) is None


def test_a_busy_core_is_seen() -> None:
    start, own = Clock.read(), sum(os.times()[:2])
    if start.busy_s is None:
        pytest.skip('this system has no /proc/stat')
    while Clock.read().busy_s - start.busy_s < 0.2:
        pass
    used = sum(os.times()[:2]) - own
    assert Clock.read().busy_s - start.busy_s >= 0.5 * used
