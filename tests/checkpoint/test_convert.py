"""Conversion: exact there and back, strict in timm, and in words."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import timm
import torch

from effformer_dense.checkpoint import Layout, convert, convert_file, detect_layout, from_native, read_file, to_native
from effformer_dense.errors import UserError
from effformer_dense.variants import EDGEVIT_VARIANTS, V1_VARIANTS, V2_VARIANTS, Variant
from tests.helpers import PROJECT_ROOT, build, randomise, variant_id

TOOL = PROJECT_ROOT / 'tools' / 'convert_checkpoint.py'


@pytest.fixture(scope='module')
def ours(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Variant], Path]:
    """A variant to its file in our layout, written once."""
    folder = tmp_path_factory.mktemp('ours')

    def write(row: Variant) -> Path:
        path = folder / f'{variant_id(row)}.pth'
        if not path.is_file():
            torch.save(randomise(build(row, out_norm=False)).state_dict(), path)
        return path

    return write


@pytest.mark.parametrize('suffix', ['.pth', '.safetensors'])
@pytest.mark.parametrize('layout', [Layout.TIMM, Layout.OFFICIAL])
def test_there_and_back_is_exact(
    layout: Layout, suffix: str, efficientformer: Variant, ours: Callable[[Variant], Path], tmp_path: Path
) -> None:
    state = torch.load(ours(efficientformer), weights_only=True, mmap=True)
    there = convert_file(ours(efficientformer), tmp_path / f'there{suffix}', layout)
    back = convert_file(tmp_path / f'there{suffix}', tmp_path / f'back{suffix}')
    assert there.variant == back.variant == efficientformer
    assert (there.source, there.target, back.source) == (Layout.NATIVE, layout, layout)
    written = read_file(tmp_path / f'back{suffix}')
    assert written.keys() == state.keys()
    assert all(torch.equal(value, written[key]) and value.dtype == written[key].dtype for key, value in state.items())


def test_timm_loads_the_file_strictly(efficientformer: Variant, tmp_path: Path) -> None:
    net = randomise(build(efficientformer, out_norm=False)).eval()
    torch.save(net.state_dict(), tmp_path / 'ours.pth')
    conversion = convert_file(tmp_path / 'ours.pth', tmp_path / 'timm.safetensors', Layout.TIMM)
    assert conversion.added[0] == 'norm.weight' and 'added: norm.weight' in conversion.summary()
    name = efficientformer.timm_name.split('.')[0]
    reference = timm.create_model(name, num_classes=0).eval()
    reference.load_state_dict(read_file(tmp_path / 'timm.safetensors'), strict=True)
    images = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        expected = reference.forward_intermediates(images, intermediates_only=True)
        for ours, theirs in zip(net(images), expected, strict=True):
            assert float((ours - theirs).abs().max() / theirs.std()) < 1e-5


def test_tables_of_another_grid_have_no_place_in_timm(tmp_path: Path) -> None:
    net = build(V2_VARIANTS['s0'], out_norm=False, bias_grid=25)
    with pytest.raises(UserError, match=r"another grid than timm's \(\(8, 25, 25\) -> \(8, 7, 7\)\)"):
        convert(net.state_dict(), Layout.TIMM)
    assert convert(net.state_dict(), Layout.OFFICIAL).variant == V2_VARIANTS['s0']


def test_a_classifier_goes_along_to_timm_and_back(efficientformer: Variant) -> None:
    """timm -> official -> timm, classifier and all: the same file."""
    state = randomise(timm.create_model(efficientformer.timm_name.split('.')[0])).state_dict()
    official = convert(state, Layout.OFFICIAL)
    assert 'dist_head.weight' in official.weights and not official.added
    assert set(official.left_out.values()) <= {'derivable index'}
    again = convert(official.weights, Layout.TIMM)
    assert again.weights.keys() == state.keys()
    assert all(torch.equal(value, again.weights[key]) for key, value in state.items())


@pytest.mark.slow
@pytest.mark.parametrize('generation', [1, 2])
def test_official_layout_has_the_published_keys_and_shapes(
    generation: int, golden_layout: Callable[[str], dict]
) -> None:
    for row in (V1_VARIANTS if generation == 1 else V2_VARIANTS).values():
        published = golden_layout(f'official_imagenet_v{generation}_{row.arch}')
        written = from_native(build(row, out_norm=False).state_dict(), row, Layout.OFFICIAL)
        backbone = {
            key: shape for key, shape in published.items() if not key.startswith(('norm.', 'head.', 'dist_head.'))
        }
        assert {key: list(value.shape) for key, value in written.items()} == backbone


@pytest.mark.slow
def test_index_buffers_are_those_of_timm() -> None:
    for row in V1_VARIANTS.values():
        reference = timm.create_model(row.timm_name.split('.')[0], num_classes=0).state_dict()
        written = from_native(build(row, out_norm=False).state_dict(), row, Layout.TIMM)
        indices = [key for key in reference if key.endswith('idxs')]
        assert indices and all(torch.equal(reference[key], written[key]) for key in indices)


def test_edgevit_is_converted_with_its_classifier_and_timm_has_none(golden_state: Callable[[str], dict]) -> None:
    state = golden_state('edgevit_xxs')
    there = convert(state, Layout.NATIVE)
    assert there.variant == EDGEVIT_VARIANTS['xxs'] and set(there.left_out) == {
        key for key in state if key.startswith(('norm.', 'head.'))
    }
    back = convert({**there.weights, **{key: state[key] for key in there.left_out}}, Layout.OFFICIAL)
    assert back.weights.keys() == state.keys()
    assert all(torch.equal(value, back.weights[key]) for key, value in state.items())
    with pytest.raises(ValueError, match='timm has no EdgeViT xxs: its weights are written as effformer_dense or off'):
        convert(state, Layout.TIMM)


def test_mmpretrain_and_hugging_face_are_read_and_not_written() -> None:
    row = V1_VARIANTS['l1']
    with pytest.raises(ValueError, match='written in the layouts effformer_dense, timm and official; got mmpretrain'):
        from_native(build(row).state_dict(), row, Layout.MMPRETRAIN)


def test_output_norms_go_to_official_and_are_named_when_left_out() -> None:
    state = randomise(build(V1_VARIANTS['l1'])).state_dict()
    official = convert(state, Layout.OFFICIAL).weights
    assert torch.equal(official['norm6.weight'], state['out_norms.3.weight'])
    back, _ = to_native(official)
    assert back.keys() == state.keys()
    assert 'output norms, for which timm has no place' in convert(state, Layout.TIMM).left_out.values()


def _run(*arguments: object) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, TOOL, *map(str, arguments)], capture_output=True, text=True, cwd=PROJECT_ROOT
    )


@pytest.mark.slow
def test_the_tool_says_what_it_did(tmp_path: Path) -> None:
    source, destination = tmp_path / 'timm.pth', tmp_path / 'new' / 'ours.safetensors'
    torch.save(timm.create_model('efficientformer_l1').state_dict(), source)
    done = _run(source, destination)
    assert done.returncode == 0, done.stderr
    for part in ('EfficientFormerV1 l1, from the layout timm to effformer_dense', 'left out: classifier', 'Written: '):
        assert part in done.stdout
    assert detect_layout(read_file(destination)) is Layout.NATIVE
    assert list(destination.parent.iterdir()) == [destination]


@pytest.mark.slow
@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['gone.pth', 'out.pth'], 'gone.pth is no file'),
        (['in.pth', 'out.onnx'], r'.pth, .safetensors; got .*\.onnx'),
        (['in.pth', 'in.pth'], 'is the file to convert'),
        (['other.pth', 'out.pth'], r'no EfficientFormer or EdgeViT among its 1 entries \(layer1.weight'),
        (['in.pth', 'out.pth', '--prefix', 'student.'], "no EfficientFormer or EdgeViT under 'student.'"),
    ],
)
def test_mistakes_with_the_tool(arguments: list[str], message: str, tmp_path: Path) -> None:
    torch.save(build(V2_VARIANTS['s0']).state_dict(), tmp_path / 'in.pth')
    torch.save({'layer1.weight': torch.ones(2)}, tmp_path / 'other.pth')
    paths = [tmp_path / argument if '.' in argument and argument != 'student.' else argument for argument in arguments]
    done = _run(*paths)
    assert done.returncode == 2 and re.search(message, done.stderr) and 'Traceback' not in done.stderr, done.stderr
    assert not (tmp_path / 'out.pth').exists()
