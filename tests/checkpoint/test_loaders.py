"""Names of the hub, URLs and paths, as MMEngine's checkpoint loader meets them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from mmengine.runner import CheckpointLoader
from safetensors.torch import save_file

from effformer_dense.checkpoint import fetch_huggingface, safe_loaders
from effformer_dense.checkpoint.loaders import fetch_url, register_names
from effformer_dense.variants import V1_VARIANTS
from tests.helpers import TINY_V2, build, randomise


@pytest.fixture
def safely() -> Iterator[None]:
    """MMEngine reads as our tools do."""
    with safe_loaders():
        yield


@pytest.mark.parametrize('file', ['model.safetensors', 'pytorch_model.bin'])
def test_hugging_faces_name_from_the_hub_cache(
    file: str, hub_snapshot: Callable[[str], Path], golden_state: Callable[[str], dict]
) -> None:
    state = golden_state('huggingface_v1_l1')
    snapshot = hub_snapshot('snap-research/efficientformer-l1-300')
    save_file(state, snapshot / file) if file.endswith('safetensors') else torch.save(state, snapshot / file)
    source = 'hf://snap-research/efficientformer-l1-300'
    net = build(V1_VARIANTS['l1'], out_norm=False, init_cfg=dict(type='Pretrained', checkpoint=source))
    net.init_weights()
    table = state['efficientformer.encoder.last_stage.meta3D_layers.blocks.0.token_mixer.attention_biases']
    assert torch.equal(net.stages[3].blocks[3].token_mixer.bias.table.flatten(1), table)


def test_a_repository_that_is_not_there(offline: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r'hf://some/thing is not cached.*huggingface.co/some/thing/resolve'):
        fetch_huggingface('some/thing')
    for wrong in ('thing', 'a/b/c', '../x'):
        with pytest.raises(ValueError, match='OWNER/NAME'):
            fetch_huggingface(wrong)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Address of a local web server for the folder ``www``."""
    monkeypatch.setenv('no_proxy', '127.0.0.1')
    (tmp_path / 'www').mkdir()
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path / 'www'))
    handler.log_message = lambda *_: None
    with ThreadingHTTPServer(('127.0.0.1', 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f'http://127.0.0.1:{running.server_port}'
        running.shutdown()


@pytest.mark.parametrize('suffix', ['.pth', '.safetensors'])
def test_weights_from_a_url(suffix: str, server: str, offline: Path, tmp_path: Path) -> None:
    state = randomise(build(TINY_V2)).state_dict()
    path = tmp_path / 'www' / f'weights{suffix}'
    save_file(state, path) if suffix == '.safetensors' else torch.save(state, path)
    net = build(TINY_V2, init_cfg=dict(type='Pretrained', checkpoint=f'{server}/weights{suffix}'))
    net.init_weights()
    assert all(torch.equal(value, net.state_dict()[key]) for key, value in state.items())
    path.unlink()
    assert fetch_url(f'{server}/weights{suffix}').is_file()  # kept


def test_files_of_one_name_at_two_places_stay_apart(server: str, offline: Path, safely: None, tmp_path: Path) -> None:
    for place in ('a', 'b'):
        (tmp_path / 'www' / place).mkdir()
        save_file({place: torch.ones(1)}, tmp_path / 'www' / place / 'model.safetensors')
    for place in ('a', 'b'):
        assert list(CheckpointLoader.load_checkpoint(f'{server}/{place}/model.safetensors')) == [place]


def test_a_url_that_is_not_there(server: str, offline: Path, safely: None) -> None:
    with pytest.raises(FileNotFoundError, match=r'gone\.pth could not be downloaded \(HTTP Error 404.*name that file'):
        CheckpointLoader.load_checkpoint(f'{server}/gone.pth')
    assert not list((offline / 'torch' / 'checkpoints').iterdir())


def test_a_path_with_a_tilde(safely: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('HOME', str(tmp_path))
    torch.save({'a': torch.ones(1)}, tmp_path / 'weights.pth')
    assert list(CheckpointLoader.load_checkpoint('~/weights.pth')) == ['a']
    with pytest.raises(FileNotFoundError, match=r'gone\.pth is no file'):
        CheckpointLoader.load_checkpoint('~/gone.pth')


@pytest.mark.parametrize(
    'map_location',
    [None, 'cpu', torch.device('cpu'), lambda storage, _: storage],
    ids=('none', 'name', 'device', 'function'),
)
def test_any_map_location(map_location: object, safely: None, tmp_path: Path) -> None:
    save_file({'a': torch.ones(1)}, tmp_path / 'weights.safetensors')
    torch.save({'a': torch.ones(1)}, tmp_path / 'weights.pth')
    for name in ('weights.safetensors', 'weights.pth'):
        loaded = CheckpointLoader.load_checkpoint(str(tmp_path / name), map_location=map_location)
        assert loaded['a'].device.type == 'cpu'


def _loader(source: str) -> object:
    return CheckpointLoader._get_checkpoint_loader(source)


SOURCES = ('weights.pth', 'http://host/weights.pth', 'https://host/weights.pth', 's3://bucket/weights.pth')


def test_safe_loaders_are_there_for_a_block_only() -> None:
    before = [_loader(source) for source in SOURCES]
    with pytest.raises(KeyError), safe_loaders():
        within = [_loader(source) for source in SOURCES]
        with safe_loaders():
            pass
        assert [_loader(source) for source in SOURCES] == within
        raise KeyError
    assert [_loader(source) for source in SOURCES] == before
    assert {loader.__module__ for loader in before} == {'mmengine.runner.checkpoint'}
    assert {loader.__module__ for loader in within} == {'effformer_dense.checkpoint.loaders'}


def test_object_stores_are_refused(safely: None) -> None:
    for source in ('s3://bucket/weights.pth', 'cluster:petrel://bucket/weights.pth', 'pavi://weights'):
        with pytest.raises(ValueError, match=f'{source} would be read by MMEngine in a way that runs'):
            CheckpointLoader.load_checkpoint(source)


def test_names_that_somebody_else_has_taught_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    schemes = {name: loader for name, loader in CheckpointLoader._schemes.items() if name != 'timm://'}
    theirs = schemes['hf://'] = lambda filename, map_location=None: {}
    monkeypatch.setattr(CheckpointLoader, '_schemes', schemes)
    register_names()
    assert _loader('hf://owner/name') is theirs
    assert _loader('timm://name').__module__ == 'effformer_dense.checkpoint.loaders'
