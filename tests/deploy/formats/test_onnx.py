"""ONNX files of backbones: one for every size, run by ONNX Runtime."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from effformer_dense.deploy.features import FeatureGraph, Normalise
from effformer_dense.deploy.formats.base import Format
from effformer_dense.deploy.formats.onnx import OnnxFormat
from effformer_dense.deploy.formats.openvino import OpenVinoFormat
from effformer_dense.deploy.formats.pt2 import Pt2Format
from effformer_dense.deploy.record import record
from effformer_dense.errors import UserError
from effformer_dense.runtime.metadata import KEY, Metadata
from effformer_dense.runtime.sessions import open_session
from effformer_dense.variants import Variant
from tests.deploy.deviation import EXAMPLE_SIZE, LARGE_SIZES, SIZES, largest_deviation, picture
from tests.helpers import build, randomise


class Pyramid(nn.Module):
    """A file of a moment."""

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        half = nn.functional.avg_pool2d(image, 2)
        return half, half.mean((2, 3))


def _write(row: Variant, path: Path, dynamic: bool = True, **options) -> FeatureGraph:
    net = randomise(build(row, **options)).eval()
    graph = FeatureGraph(net, Normalise((123.675, 116.28, 103.53), (58.395, 57.12, 57.375)))
    _save(record(graph, {'image': picture(*EXAMPLE_SIZE)}, dynamic), path, graph.outputs)
    return graph


def _save(program: ExportedProgram, path: Path, outputs: Sequence[str]) -> None:
    OnnxFormat().write(program, path, outputs)
    OnnxFormat().describe(path, Metadata('features', tuple(outputs)).to_json())


def _call(path: Path):
    run = OnnxFormat().open(path, threads=1)
    return lambda image: [torch.from_numpy(array) for array in run({'image': image.numpy()}).values()]


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / 'small.onnx'
    _save(record(Pyramid(), {'image': picture(64, 96)}), path, ['half', 'mean'])
    return path


@pytest.mark.slow
@pytest.mark.parametrize(
    'options',
    [
        dict(bias_resize='bicubic'),
        dict(bias_resize='clamp', attention_scale='log_tokens'),
        dict(bias_resize='geometric'),
        dict(bias_resize='log'),
        pytest.param(dict(bias_resize='matrix'), marks=pytest.mark.minutes),
    ],
    ids=lambda options: options['bias_resize'],
)
def test_one_file_serves_every_size(tiny: Variant, options: dict, tmp_path: Path) -> None:
    graph = _write(tiny, tmp_path / 'net.onnx', bias_grid=5, **options)
    for size in [*SIZES, (333, 517)]:
        assert largest_deviation(_call(tmp_path / 'net.onnx'), graph, size) < 1e-5, size


@pytest.mark.slow
def test_file_for_one_size(tiny: Variant, tmp_path: Path) -> None:
    graph = _write(tiny, tmp_path / 'net.onnx', dynamic=False)
    assert largest_deviation(_call(tmp_path / 'net.onnx'), graph, EXAMPLE_SIZE) < 1e-5


@pytest.mark.minutes
def test_published_sizes(variant: Variant, tmp_path: Path) -> None:
    """Some minutes for each of the larger ones."""
    graph = _write(variant, tmp_path / 'net.onnx')
    sizes = [(96, 64), (32, 32), (224, 224), *LARGE_SIZES]
    found = {size: largest_deviation(_call(tmp_path / 'net.onnx'), graph, size) for size in sizes}
    print(f'{variant.arch}: ' + ', '.join(f'{h} x {w} {value:.1e}' for (h, w), value in found.items()))
    assert max(found.values()) < 2e-5


def test_names_and_metadata(small: Path) -> None:
    import onnx as package

    model = package.load(small)
    package.helper.set_model_props(model, {KEY: 'old', 'other': 'kept'})
    package.save(model, small)
    text = Metadata('features', ('half', 'mean'), source={'config': 'new'}).to_json()
    OnnxFormat().describe(small, text)
    model = package.load(small)
    assert {entry.key: entry.value for entry in model.metadata_props} == {KEY: text, 'other': 'kept'}
    sides = [dimension.dim_param for dimension in model.graph.input[0].type.tensor_type.shape.dim]
    assert model.graph.input[0].name == 'image' and sides == ['', '', 'height', 'width']
    image = picture(33, 47)
    found = OnnxFormat().open(small)({'image': image.numpy()})
    assert list(found) == ['half', 'mean']
    for array, wanted in zip(found.values(), Pyramid()(image), strict=True):
        torch.testing.assert_close(torch.from_numpy(array), wanted)
    assert [path.name for path in small.parent.iterdir()] == ['small.onnx']


@pytest.mark.parametrize('precision', ['fp32', 'fp16'])
def test_openvino_takes_every_size(precision: str, tmp_path: Path) -> None:
    pytest.importorskip('openvino')
    path = tmp_path / 'net.xml'
    OpenVinoFormat().write(record(Pyramid(), {'image': picture(64, 96)}), path, ['half', 'mean'], precision)
    for config in ('old', 'new'):
        text = Metadata('features', ('half', 'mean'), precision=precision, source={'config': config}).to_json()
        OpenVinoFormat().describe(path, text)
    assert open_session(path, 1).metadata.source == {'config': 'new'}
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ['net.bin', 'net.xml']
    for size in [(33, 47), (200, 64)]:
        image = picture(*size)
        found = OpenVinoFormat().open(path, threads=1)({'image': image.numpy()})
        for name, wanted in zip(('half', 'mean'), Pyramid()(image), strict=True):
            torch.testing.assert_close(torch.from_numpy(found[name]), wanted, rtol=1e-5, atol=1e-3)  # of 255


@pytest.mark.parametrize('damage', ['truncated', 'other', 'empty'])
@pytest.mark.parametrize('kind', [OnnxFormat(), Pt2Format()], ids=['onnx', 'pt2'])
def test_broken_files_are_refused(kind: Format, damage: str, small: Path, tmp_path: Path) -> None:
    whole = small.read_bytes()
    path = tmp_path / f'broken{kind.suffix}'
    path.write_bytes({'truncated': whole[: len(whole) // 2], 'other': b'GIF89a' + bytes(99), 'empty': b''}[damage])
    with pytest.raises(UserError, match=r'broken\.\w+ cannot be (read|opened)'):
        kind.open(path, ['half', 'mean'])


def test_operators_that_onnx_does_not_have(tmp_path: Path) -> None:
    class Bessel(nn.Module):
        def forward(self, image: Tensor) -> Tensor:
            return torch.special.bessel_j0(image)

    program = record(Bessel(), {'image': picture(64, 96)})
    with pytest.raises(UserError, match=r'ONNX does not have: .*bessel_j0'):
        OnnxFormat().write(program, tmp_path / 'net.onnx', ['values'])
