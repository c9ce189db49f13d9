"""Files that were exported give what PyTorch gives, from pictures to results; what cannot be is said early."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.registry import MODELS
from PIL import Image

from effformer_dense.commands import cli
from effformer_dense.engine import export as export_module
from effformer_dense.engine.export import export
from effformer_dense.engine.infer import infer
from effformer_dense.engine.open import open_config
from effformer_dense.errors import MissingPackageError, UserError
from effformer_dense.inference.run import find_source, run
from effformer_dense.options import MAX_PIXELS, ConfigOptions, ExportOptions, InferOptions
from effformer_dense.runtime import load
from tests.helpers import randomise

from .conftest import write_scenes, write_tiny_segmentor

pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')

SMALL = ('test_dataloader.dataset.pipeline.1.scale=(256,64)',)


@pytest.fixture(scope='module')
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a small segmentor: config, checkpoint with weights that speak, pictures."""
    folder = tmp_path_factory.mktemp('exported')
    config = write_tiny_segmentor(folder, write_scenes(folder / 'ade'))
    model = randomise(MODELS.build(open_config(ConfigOptions(config)).model))
    with torch.no_grad():
        model.decode_head.conv_seg.weight.normal_(generator=torch.Generator().manual_seed(1))  # many classes win
    torch.save({'state_dict': model.state_dict(), 'meta': {}}, folder / 'epoch_1.pth')
    return folder


@pytest.fixture(scope='module')
def options(home: Path) -> ConfigOptions:
    return ConfigOptions(home / 'semfpn_tiny.py', cfg_options=SMALL)


def _pictures(home: Path) -> Path:
    return home / 'ade' / 'images' / 'validation'


@pytest.fixture(scope='module')
def exported(home: Path, options: ConfigOptions) -> Path:
    return export(options, ExportOptions(home / 'epoch_1.pth', out=home / 'net.onnx'))


@pytest.mark.slow
@pytest.mark.parametrize('kind', ['onnx', pytest.param('openvino', marks=pytest.mark.minutes)])
def test_segmentation_maps_are_those_of_pytorch(
    home: Path, options: ConfigOptions, exported: Path, kind: str, tmp_path: Path
) -> None:
    """Pictures of three sizes, through everything that a user would run."""
    path = exported
    if kind == 'openvino':
        pytest.importorskip('openvino')
        path = export(options, ExportOptions(home / 'epoch_1.pth', kind, out=tmp_path / 'net.xml'))
    from_torch = InferOptions(home / 'epoch_1.pth', str(_pictures(home)), tmp_path / 'torch', no_pictures=True)
    from_file = replace(from_torch, checkpoint=path, out_dir=tmp_path / 'file')
    infer(options, from_torch)
    run(load(path), find_source(from_file, MAX_PIXELS), from_file, MAX_PIXELS)
    maps = sorted((tmp_path / 'torch').rglob('*.png'))
    assert len(maps) == 3
    for expected in maps:
        found = tmp_path / 'file' / expected.relative_to(tmp_path / 'torch')
        expected_map, found_map = (np.asarray(Image.open(name)) for name in (expected, found))
        assert expected_map.shape == found_map.shape and len(np.unique(expected_map)) > 5
        assert (expected_map == found_map).mean() > 0.999  # pixels are resized in whole levels, by one more or less


@pytest.mark.slow
def test_what_a_file_says_about_itself(exported: Path) -> None:
    metadata = load(exported).metadata
    assert (metadata.task, metadata.precision, metadata.size) == ('segmentation', 'fp32', None)
    assert metadata.classes[0] == 'wall' and len(metadata.palette) == 150 and metadata.numbers == tuple(range(1, 151))
    assert metadata.mean == pytest.approx((123.675, 116.28, 103.53))
    assert metadata.source == {'config': 'semfpn_tiny.py', 'checkpoint': 'epoch_1.pth'}
    assert {'torch', 'onnx', 'onnxruntime', 'mmsegmentation'} <= set(metadata.versions)
    assert len({tuple(entry['size']) for entry in metadata.proof}) == 3
    assert all(entry['labels equal'] > 0.9998 for entry in metadata.proof)  # one of 7,000 at least


@pytest.mark.slow
def test_a_file_that_does_not_agree_is_not_written(
    home: Path, options: ConfigOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = export_module.record

    def wrong(module, *args, **kwargs):
        """One bias of the head is another one in the file."""
        other = copy.deepcopy(module)
        with torch.no_grad():
            other.model.decode_head.conv_seg.bias[3] += 1
        return record(other, *args, **kwargs)

    monkeypatch.setattr(export_module, 'record', wrong)
    with pytest.raises(UserError, match=r'logits deviates by .* It was not written'):
        export(options, ExportOptions(home / 'epoch_1.pth', output='logits', out=tmp_path / 'net.onnx'))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_backbone_alone_of_one_size(home: Path, options: ConfigOptions, tmp_path: Path) -> None:
    path = export(
        options, ExportOptions(home / 'epoch_1.pth', part='backbone', size=(64, 96), out=tmp_path / 'deep' / 'net.onnx')
    )
    model = load(path)
    found = model(np.zeros((64, 96, 3), np.uint8))
    assert [feature.shape[1:] for feature in found.stages] == [(16, 24), (8, 12), (4, 6), (2, 3)]
    assert [entry['size'] for entry in model.metadata.proof] == [[64, 96]] * 3
    assert json.loads(model.metadata.to_json())['task'] == 'features'


@pytest.mark.minutes
def test_the_command_for_executorch(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As it is typed; the file is run by ExecuTorch's own runtime before it is there."""
    pytest.importorskip('executorch')
    line = f'--cfg-options {SMALL[0]} --format executorch --size 64 96 --part backbone --out {tmp_path / "net.pte"}'
    cli.main('export', [str(home / 'semfpn_tiny.py'), str(home / 'epoch_1.pth'), *line.split()])
    assert (tmp_path / 'net.pte').stat().st_size > 10_000
    printed = capsys.readouterr().out
    assert printed.count('at 96 x 64 px: stage1 worst') == 3 and f'Written: {tmp_path / "net.pte"}' in printed


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(format='onyx'), "format must be one of onnx, .*; got 'onyx'. Did you mean 'onnx'?"),
        (dict(precision='bf16'), '--precision bf16: onnx files are to be had in fp32'),
        (dict(out=Path('net.xml')), r'--out net.xml: onnx files end in \.onnx'),
        (dict(checkpoint=Path('nowhere.pth')), 'nowhere.pth does not exist'),
        (dict(pictures='nowhere'), 'nowhere matches no file'),
        (dict(part='backbone', output='logits'), '--output is of segmentors'),
    ],
)
def test_what_cannot_be_exported_is_said_before_any_work(
    options: ConfigOptions, home: Path, changes: dict, message: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(export_module, 'record', lambda *_: pytest.fail('recorded'))
    with pytest.raises(UserError, match=message):
        export(options, replace(ExportOptions(home / 'epoch_1.pth'), **changes))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_model_that_no_graph_can_hold(
    home: Path, options: ConfigOptions, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def forward(self, inputs):
        return self.conv_seg(inputs[0] * inputs[0].max().item())  # a number of the picture, in Python

    monkeypatch.setattr('mmseg.models.FPNHead.forward', forward)
    monkeypatch.setattr('mmseg.models.FPNHead.predict', lambda self, inputs, *_: self(inputs) if inputs[0].max() else 0)
    with pytest.raises(UserError, match=r'cannot be recorded as a graph: .*\. A file for one size may be possible'):
        export(options, ExportOptions(home / 'epoch_1.pth', out=tmp_path / 'net.onnx'))
    assert list(tmp_path.iterdir()) == []


def test_sides_that_cannot_be() -> None:
    with pytest.raises(UserError, match='--size 16 512: both sides must be at least 32 px'):
        ExportOptions(Path('x.pth'), size=(16, 512))


def test_a_missing_package_names_its_extra(
    options: ConfigOptions, home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr('effformer_dense.deploy.formats.base.find_spec', lambda name: None)
    with pytest.raises(MissingPackageError, match=r"needs the package onnx: pip install 'effformer_dense\[onnx\]'"):
        export(options, ExportOptions(home / 'epoch_1.pth', out=tmp_path / 'net.onnx'))
