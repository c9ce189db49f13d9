"""Fixtures that several test files share."""

from __future__ import annotations

import functools
import gc
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from effformer_dense.variants import ALL_VARIANTS, EDGEVIT, Variant

from .helpers import GOLDEN, SHARED, TINY_V1, TINY_V2, variant_id

if TYPE_CHECKING:
    import torch

# torch and MMEngine are imported where they are used: pytest-xdist's first process reads this file and runs no test.


def pytest_configure() -> None:
    """Under pytest-xdist every worker computes on one core, and so do the processes that its tests start."""
    if 'PYTEST_XDIST_WORKER' in os.environ:
        import torch

        torch.set_num_threads(1)
        os.environ['OMP_NUM_THREADS'] = '1'


def pytest_collection_finish() -> None:
    """What was imported stays: MMEngine collects garbage once per data set, and would look through all of it."""
    gc.collect()
    gc.freeze()


#: Of each family the smallest, which every test can afford; for the larger ones a test takes seconds.
QUICK = 'l1', 's0', 'xxs'
VARIANTS = [
    pytest.param(row, id=variant_id(row), marks=() if row.arch in QUICK else pytest.mark.slow) for row in ALL_VARIANTS
]


@pytest.fixture(params=VARIANTS)
def variant(request: pytest.FixtureRequest) -> Variant:
    return request.param


@pytest.fixture(params=[param for param in VARIANTS if param.values[0].family != EDGEVIT])
def efficientformer(request: pytest.FixtureRequest) -> Variant:
    """The variants whose weights timm has."""
    return request.param


@pytest.fixture(params=[TINY_V1, TINY_V2], ids=variant_id)
def tiny(request: pytest.FixtureRequest) -> Variant:
    """A thin EfficientFormer of each generation, for what does not depend on size."""
    return request.param


@pytest.hookimpl(tryfirst=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[object]) -> None:
    """Same random numbers for what tests share, whichever of them asks for it first."""
    if fixturedef.scope != 'function':
        import torch

        torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _clean_slate() -> None:
    """Same random numbers, and no scope, visualizer or arithmetic left over from another test's run.

    Stock configs all name their visualizer "visualizer": a second run would get the first one's, and write to its
    folder. Commands take denormal numbers for zero in their whole process, which here is that of the tests.
    """
    import torch
    from mmengine.registry import DefaultScope
    from mmengine.visualization import Visualizer

    torch.manual_seed(0)
    torch.set_flush_denormal(False)
    DefaultScope._instance_dict.clear()
    for cls in (Visualizer, *_descendants(Visualizer)):
        cls._instance_dict.clear()


def _descendants(cls: type) -> Iterator[type]:
    for child in cls.__subclasses__():
        yield child
        yield from _descendants(child)


@pytest.fixture(scope='session')
def golden_layout() -> Callable[[str], dict[str, list[int]]]:
    """Name of a layout to its keys and shapes."""
    return lambda name: json.loads((GOLDEN / 'layouts' / f'{name}.json').read_text())


@pytest.fixture(scope='session')
def golden_state(golden_layout: Callable[[str], dict[str, list[int]]]) -> Callable[[str], dict[str, torch.Tensor]]:
    """Name of a layout to its checkpoint."""
    import torch

    from .golden import weights

    @functools.lru_cache(maxsize=2)
    def load(name: str) -> dict[str, torch.Tensor]:
        return {key: torch.as_tensor(value) for key, value in weights.checkpoint(golden_layout(name)).items()}

    return lambda name: dict(load(name))


@pytest.fixture(scope='session')
def coco_root() -> Path:
    """Six real COCO pictures."""
    root = SHARED / 'data' / 'coco'
    if not root.is_dir():
        pytest.skip('no COCO pictures beside this checkout')
    return root
