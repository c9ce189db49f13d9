"""Recorded backbones: one program for every size, equal to what runs without one."""

from __future__ import annotations

import copy
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from effformer_dense.backbones.relpos import RESIZE_MODES
from effformer_dense.deploy import fuse
from effformer_dense.deploy.features import FeatureGraph, Normalise
from effformer_dense.deploy.formats.pt2 import Pt2Format
from effformer_dense.deploy.record import record
from effformer_dense.variants import V2, Variant
from tests.deploy.deviation import EXAMPLE_SIZE, SIZES, largest_deviation, picture
from tests.helpers import PROJECT_ROOT, build, randomise

#: What a program may hold: torch's operators, and arithmetic of sizes.
ALLOWED = ('aten.', '<built-in function ', '<function sym_')
#: What translators to other formats trip over.
TRAPS = ('unfold', 'view_as', 'alias', 'channels_last')


def _graph(row: Variant, fused: bool = False, **options) -> FeatureGraph:
    net = randomise(build(row, **options)).eval()
    return FeatureGraph(fuse(net) if fused else net, Normalise((123.675, 116.28, 103.53), (58.395, 57.12, 57.375)))


def _call(program: torch.export.ExportedProgram):
    module = program.module()
    return lambda image: module(image=image)


@pytest.mark.slow
@pytest.mark.parametrize('fused', [False, True], ids=['plain', 'fused'])
@pytest.mark.parametrize('mode', RESIZE_MODES)
def test_one_program_serves_every_size(tiny: Variant, mode: str, fused: bool) -> None:
    graph = _graph(tiny, fused, bias_resize=mode, bias_grid=5)
    program = record(graph, {'image': picture(*EXAMPLE_SIZE)})
    nodes = [node for node in program.graph.nodes if node.op == 'call_function']
    assert not [node for node in nodes if not str(node.target).startswith(ALLOWED)]
    assert not [node for node in nodes if any(trap in f'{node.target} {node.args} {node.kwargs}' for trap in TRAPS)]
    for size in SIZES:
        assert largest_deviation(_call(program), graph, size) < 1e-5, size


@pytest.mark.slow
@pytest.mark.parametrize('fused', [False, True], ids=['plain', 'fused'])
def test_what_depends_on_the_number_of_tokens_follows_the_size(tiny: Variant, fused: bool) -> None:
    of_v2 = dict(talking_bias='mean') if tiny.family == V2 else {}
    graph = _graph(tiny, fused, attention_scale='log_tokens', bias_grid=5, **of_v2)
    program = record(graph, {'image': picture(*EXAMPLE_SIZE)})
    for size in SIZES:
        assert largest_deviation(_call(program), graph, size) < 1e-5, size


@pytest.mark.parametrize('traced', [False, True], ids=['program', 'trace'])
def test_one_size(tiny: Variant, traced: bool) -> None:
    graph = _graph(tiny)
    image = picture(131, 77)
    if traced:
        assert largest_deviation(torch.jit.trace(graph, image, check_trace=False), graph, (131, 77)) < 1e-5
    else:
        program = record(graph, {'image': image}, dynamic=False)
        assert largest_deviation(_call(program), graph, (131, 77)) < 1e-5
        with pytest.raises(AssertionError, match='Guard failed'):
            _call(program)(picture(77, 131))


def test_module_is_left_as_it_was() -> None:
    class Halves(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.drop = nn.Dropout(0.5)
            self.norm = nn.BatchNorm2d(3).eval()

        def forward(self, image: Tensor) -> Tensor:
            return self.drop(self.norm(image))[:, :, ::2, ::2]

    module = Halves().train()
    module.norm.eval()
    program = record(module, {'image': picture(*EXAMPLE_SIZE)})
    assert module.training and module.drop.training and not module.norm.training
    image = picture(33, 64)
    torch.testing.assert_close(_call(program)(image), copy.deepcopy(module).eval()(image))


@pytest.mark.slow
def test_pt2_file_in_another_process(tiny: Variant, tmp_path: Path) -> None:
    graph = _graph(tiny)
    path = tmp_path / 'net.pt2'
    Pt2Format().write(record(graph, {'image': picture(*EXAMPLE_SIZE)}), path, graph.outputs)
    Pt2Format().describe(path, 'metadata')
    images = [picture(*size) for size in SIZES]
    torch.save(images, tmp_path / 'images.pt')
    script = (
        'import sys, torch\n'
        'module = torch.export.load(sys.argv[1]).module()\n'
        'torch.save([module(image=image) for image in torch.load(sys.argv[2])], sys.argv[3])\n'
        "assert not any(name.startswith('effformer_dense') for name in sys.modules)\n"
    )
    names = [path, tmp_path / 'images.pt', tmp_path / 'maps.pt']
    subprocess.run([sys.executable, '-c', script, *map(str, names)], check=True, cwd=PROJECT_ROOT.parent)
    found = iter(torch.load(tmp_path / 'maps.pt'))
    for size in SIZES:
        assert largest_deviation(lambda _: next(found), graph, size) < 1e-5, size
