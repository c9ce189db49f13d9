"""The hub library's cache, as tests fill it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Empty caches of the hub library and of torch, and no network."""
    monkeypatch.setattr(constants, 'HF_HUB_CACHE', str(tmp_path / 'hub'))
    monkeypatch.setattr(constants, 'HF_HUB_OFFLINE', True)
    monkeypatch.setattr(torch.hub, '_hub_dir', str(tmp_path / 'torch'))
    return tmp_path


@pytest.fixture
def hub_snapshot(offline: Path) -> Callable[[str], Path]:
    """'OWNER/NAME' to the folder where the cache has that repository's files, in the hub library's own layout."""

    def make(repository: str) -> Path:
        repo = offline / 'hub' / f'models--{repository.replace("/", "--")}'
        snapshot = repo / 'snapshots' / ('0' * 40)
        snapshot.mkdir(parents=True)
        (repo / 'refs').mkdir()
        (repo / 'refs' / 'main').write_text('0' * 40)
        return snapshot

    return make
