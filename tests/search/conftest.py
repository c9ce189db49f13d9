"""A search for the tests of this folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def job(tmp_path: Path, monkeypatch) -> Any:
    pytest.importorskip('mmseg')
    from effformer_dense.search.methods import JOINT
    from tests.search.jobs import SPACE, make_job

    return make_job(JOINT, SPACE, 's0', tmp_path, monkeypatch)
