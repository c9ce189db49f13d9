"""Fixtures that several test files share."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import torch
from mmengine.registry import DefaultScope

from effformer_dense.variants import ALL_VARIANTS, Variant

from .helpers import SHARED, variant_id


@pytest.fixture(params=ALL_VARIANTS, ids=variant_id)
def variant(request: pytest.FixtureRequest) -> Variant:
    return request.param


@pytest.fixture(autouse=True)
def _clean_slate() -> None:
    """Same random numbers, and no scope left over from another test's run."""
    torch.manual_seed(0)
    DefaultScope._instance_dict.clear()


@pytest.fixture(scope='session')
def golden() -> ModuleType:
    """The module that makes golden checkpoints and inputs."""
    path = SHARED / 'golden' / 'weights.py'
    if not path.is_file():
        pytest.skip('golden features are not beside this checkout')
    spec = importlib.util.spec_from_file_location('golden_weights', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope='session')
def golden_layout() -> Callable[[str], dict[str, list[int]]]:
    """Name of a layout to its keys and shapes."""
    folder = SHARED / 'golden' / 'layouts'
    if not folder.is_dir():
        pytest.skip('golden layouts are not beside this checkout')
    return lambda name: json.loads((folder / f'{name}.json').read_text())


@pytest.fixture(scope='session')
def golden_state(
    golden: ModuleType, golden_layout: Callable[[str], dict[str, list[int]]]
) -> Callable[[str], dict[str, torch.Tensor]]:
    """Name of a layout to its checkpoint."""

    def load(name: str) -> dict[str, torch.Tensor]:
        return {key: torch.as_tensor(value) for key, value in golden.checkpoint(golden_layout(name)).items()}

    return load


@pytest.fixture(scope='session')
def coco_root() -> Path:
    """Six real COCO pictures."""
    root = SHARED / 'data' / 'coco'
    if not root.is_dir():
        pytest.skip('no COCO pictures beside this checkout')
    return root
