"""Core ML files: their operators, and what these compute as they are defined. A Mac's numbers cannot be had here."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytest.importorskip('coremltools', reason='the extra coreml is not installed')
import coremltools

from effformer_dense.deploy.formats.coreml import CoreMlFormat
from effformer_dense.errors import UserError
from effformer_dense.runtime.metadata import KEY
from effformer_dense.variants import Variant
from tests.deploy.formats.cases import Foreign, Pyramid, deviations, features, fixed, picture
from tests.deploy.formats.mil import evaluate

#: What backbones are made of; each is an operator of Core ML's own.
OPERATORS = {
    *('add', 'avg_pool', 'conv', 'gelu', 'layer_norm', 'linear', 'matmul', 'mul', 'real_div', 'reduce_mean'),
    *('reduce_sum', 'relu', 'reshape', 'rsqrt', 'slice_by_index', 'softmax', 'split', 'square', 'squeeze', 'sub'),
    *('transpose', 'upsample_bilinear'),
}
FLOAT32, INT32 = 65568, 131104  # of Core ML's ArrayFeatureType


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / 'small.mlpackage'
    CoreMlFormat().write(fixed(Pyramid(), 32, 48), path, Pyramid.outputs)
    return path


@pytest.mark.slow
@pytest.mark.parametrize('size', [(96, 64), (77, 131)])
def test_file_says_what_the_network_does(tiny: Variant, size: tuple[int, int], tmp_path: Path) -> None:
    graph = features(tiny)
    CoreMlFormat().write(fixed(graph, *size), tmp_path / 'net.mlpackage', graph.outputs)
    found = evaluate(tmp_path / 'net.mlpackage', picture(*size))
    assert max(deviations(graph, picture(*size), found).values()) < 2e-6
    assert set(CoreMlFormat().structure(tmp_path / 'net.mlpackage')) <= OPERATORS


@pytest.mark.minutes
def test_published_variants(variant: Variant, tmp_path: Path) -> None:
    graph = features(variant)
    CoreMlFormat().write(fixed(graph, 224, 224), tmp_path / 'net.mlpackage', graph.outputs)
    found = evaluate(tmp_path / 'net.mlpackage', picture(224, 224))
    print(variant.arch, deviations(graph, picture(224, 224), found))
    assert max(deviations(graph, picture(224, 224), found).values()) < 2e-6
    assert set(CoreMlFormat().structure(tmp_path / 'net.mlpackage')) <= OPERATORS


def test_names_types_and_numbers(small: Path) -> None:
    description = coremltools.utils.load_spec(str(small)).description
    ports = {port.name: port.type.multiArrayType.dataType for port in (*description.input, *description.output)}
    assert ports == {'image': FLOAT32, 'half': FLOAT32, 'labels': INT32}
    module = Pyramid().double()
    half, labels = module(picture(32, 48).double())
    found = evaluate(small, picture(32, 48))
    assert (found['half'] - half).abs().max() < 1e-4 and (found['labels'] == labels).all()
    assert CoreMlFormat().structure(small) == {'avg_pool': 1, 'mul': 1, 'reduce_argmax': 1}


def test_half_precision_inside_alone(tmp_path: Path) -> None:
    path = tmp_path / 'half.mlpackage'
    CoreMlFormat().write(fixed(Pyramid(), 32, 48), path, Pyramid.outputs, 'fp16')
    description = coremltools.utils.load_spec(str(path)).description
    assert [port.type.multiArrayType.dataType for port in (*description.input, *description.output)] == [
        FLOAT32,
        FLOAT32,
        INT32,
    ]
    assert CoreMlFormat().structure(path)['cast'] >= 2


def test_text_replaces_the_last(small: Path) -> None:
    CoreMlFormat().describe(small, 'first')
    CoreMlFormat().describe(small, '{"classes": ["Bär"]}')
    assert coremltools.utils.load_spec(str(small)).description.metadata.userDefined[KEY] == '{"classes": ["Bär"]}'
    assert 'half' in evaluate(small, picture(32, 48)), 'its weights are there'
    assert [path.name for path in small.parent.iterdir()] == ['small.mlpackage']


def test_operator_that_core_ml_does_not_have(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r'counterpart of aten\.special_bessel_j0\.default: .*--format onnx'):
        CoreMlFormat().write(fixed(Foreign(), 32, 48), tmp_path / 'net.mlpackage', Foreign.outputs)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(sys.platform == 'darwin', reason='a Mac runs it')
def test_not_run_here(small: Path) -> None:
    assert not CoreMlFormat().runs_here
    with pytest.raises(UserError, match='Apple machines alone'):
        CoreMlFormat().open(small, Pyramid.outputs)
