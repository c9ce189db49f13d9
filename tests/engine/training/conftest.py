"""What all of these tests need."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from effformer_dense.checkpoint.loaders import safe_loaders


@pytest.fixture(autouse=True)
def _safely() -> Iterator[None]:
    """Read checkpoints as the commands do."""
    with safe_loaders():
        yield


@pytest.fixture(autouse=True)
def _hears_ctrl_c() -> Iterator[None]:
    """Processes that a script starts in the background ignore SIGINT, and so do those that they start."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
