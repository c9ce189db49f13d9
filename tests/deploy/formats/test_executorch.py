"""ExecuTorch files, run by ExecuTorch's own runtime; and that no program asks for an order in memory."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from effformer_dense.deploy.formats.executorch import ExecuTorchFormat, memory_formats
from effformer_dense.errors import UserError
from effformer_dense.runtime.metadata import KEY
from effformer_dense.variants import ALL_VARIANTS, Variant
from tests.deploy.formats.cases import Foreign, Pyramid, deviations, features, fixed, picture
from tests.helpers import variant_id

installed = pytest.mark.skipif(find_spec('executorch') is None, reason='the extra executorch is not installed')


class ChannelsLast(nn.Module):
    """A convolution whose maps are asked for in another order."""

    outputs = ('maps',)

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, image: Tensor) -> Tensor:
        return self.conv(image).contiguous(memory_format=torch.channels_last)


def run(path: Path, image: Tensor, outputs: tuple[str, ...]) -> dict[str, Tensor]:
    found = ExecuTorchFormat().open(path, outputs)({'image': image.numpy()})
    return {name: torch.from_numpy(value) for name, value in found.items()}


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / 'small.pte'
    ExecuTorchFormat().write(fixed(Pyramid(), 32, 48), path, Pyramid.outputs)
    return path


@pytest.mark.slow
def test_no_order_in_memory_in_programs(tiny: Variant) -> None:
    assert memory_formats(fixed(features(tiny), 96, 64)) == []


@pytest.mark.minutes
@pytest.mark.parametrize('row', ALL_VARIANTS, ids=variant_id)
def test_no_order_in_memory_in_published_variants(row: Variant) -> None:
    assert memory_formats(fixed(features(row), 96, 64)) == []


def test_order_in_memory_is_refused(tmp_path: Path) -> None:
    program = fixed(ChannelsLast(), 32, 48)
    assert memory_formats(program) == ['torch.channels_last']
    with pytest.raises(UserError, match=r'order in memory \(torch\.channels_last\)'):
        ExecuTorchFormat().write(program, tmp_path / 'net.pte', ChannelsLast.outputs)
    assert not list(tmp_path.iterdir())


@installed
@pytest.mark.slow
def test_file_computes_what_the_network_does(tiny: Variant, tmp_path: Path) -> None:
    graph, path = features(tiny), tmp_path / 'net.pte'
    ExecuTorchFormat().write(fixed(graph, 77, 131), path, graph.outputs)
    assert max(deviations(graph, picture(77, 131), run(path, picture(77, 131), graph.outputs)).values()) < 1e-5
    structure = ExecuTorchFormat().structure(path)
    assert structure['XnnpackBackend'] > 5
    assert not any(part in name for name in structure for part in ('index', 'arange', '::mm')), (
        'the bias is no work of the device'
    )


@installed
@pytest.mark.minutes
@pytest.mark.parametrize('side', [224, 512])
@pytest.mark.parametrize('row', [row for row in ALL_VARIANTS if row.arch in ('l1', 's0')], ids=variant_id)
def test_published_variants(row: Variant, side: int, tmp_path: Path) -> None:
    """Some minutes each."""
    graph, path = features(row), tmp_path / 'net.pte'
    ExecuTorchFormat().write(fixed(graph, side, side), path, graph.outputs)
    found = deviations(graph, picture(side, side), run(path, picture(side, side), graph.outputs))
    print(row.arch, side, found, ExecuTorchFormat().structure(path))
    assert max(found.values()) < 2e-5


@installed
def test_numbers_and_types(small: Path) -> None:
    found = run(small, picture(32, 48), Pyramid.outputs)
    half, labels = Pyramid()(picture(32, 48))
    assert (found['half'] - half).abs().max() < 1e-4
    assert found['labels'].dtype == torch.uint8 and (found['labels'] == labels).all()


@installed
def test_results_outlive_the_next_picture(small: Path) -> None:
    call = ExecuTorchFormat().open(small, Pyramid.outputs)
    first = call({'image': picture(32, 48).numpy()})['half']
    kept = first.copy()
    call({'image': torch.zeros(1, 3, 32, 48).numpy()})
    assert (first == kept).all()


@installed
def test_program_keeps_its_weights(tmp_path: Path) -> None:
    program = fixed(Pyramid(), 32, 48)
    before = set(program.state_dict)
    ExecuTorchFormat().write(program, tmp_path / 'net.pte', Pyramid.outputs)
    assert before == set(program.state_dict) == {'table'}


@installed
def test_text_replaces_the_last(small: Path) -> None:
    from executorch.runtime import Runtime

    ExecuTorchFormat().describe(small, 'first')
    ExecuTorchFormat().describe(small, '{"classes": ["Bär"]}')
    assert Runtime.get().load_program(small).load_method(KEY).execute([]) == ['{"classes": ["Bär"]}']
    assert (run(small, picture(32, 48), Pyramid.outputs)['labels'] == Pyramid()(picture(32, 48))[1]).all()


@installed
def test_operator_that_executorch_does_not_have(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r'no kernel for .*special_bessel_j0.*--format onnx'):
        ExecuTorchFormat().write(fixed(Foreign(), 32, 48), tmp_path / 'net.pte', Foreign.outputs)


@installed
def test_operator_of_another_library(tmp_path: Path) -> None:
    torchvision = pytest.importorskip('torchvision')

    class Boxes(nn.Module):
        def forward(self, image: Tensor) -> Tensor:
            return torchvision.ops.nms(image[0, 0, :, :4], image[0, 1, :, 0], 0.5)

    with pytest.raises(UserError, match=r'torchvision\.nms'):
        ExecuTorchFormat().write(fixed(Boxes(), 32, 48), tmp_path / 'net.pte', ('kept',))


@installed
def test_not_a_program(tmp_path: Path) -> None:
    (tmp_path / 'net.pte').write_bytes(b'no program' * 100)
    with pytest.raises(UserError, match='cannot be opened by ExecuTorch'):
        ExecuTorchFormat().open(tmp_path / 'net.pte', ('a',))
