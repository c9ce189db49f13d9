"""Where drawings of a test go."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

pytest.importorskip('mmdet')

from effformer_dense.engine import pictures_hook
from effformer_dense.engine.pictures_hook import TestPicturesHook
from effformer_dense.errors import UserError


class _Sample(SimpleNamespace):
    def cpu(self) -> _Sample:
        return self


@pytest.fixture
def runner(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    task = SimpleNamespace(draw_comparison=lambda image, *_: np.concatenate([image, image], axis=1))
    monkeypatch.setattr(pictures_hook, 'task_named', lambda _: task)
    return SimpleNamespace(visualizer=SimpleNamespace(dataset_meta={}), logger=None)


def _pictures(root: Path, *names: str) -> list[_Sample]:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new('RGB', (40, 40)).save(root / name)
    return [_Sample(img_path=str(root / name)) for name in names]


def test_no_drawing_takes_the_place_of_another(tmp_path: Path, runner: SimpleNamespace) -> None:
    samples = _pictures(tmp_path / 'data', 'cam1/1.png', 'cam2/1.png', 'cam2/1.bmp', '2.bmp')
    hook = TestPicturesHook(str(tmp_path / 'shown'), roots=[str(tmp_path / 'data')], count=4)
    for _ in range(2):  # a second test writes them anew
        hook.before_test(runner)
        hook.after_test_iter(runner, 0, outputs=samples)
        shown = sorted(path.relative_to(tmp_path / 'shown').as_posix() for path in tmp_path.glob('shown/**/*.*'))
        assert shown == ['2.png', 'cam1/1.png', 'cam2/1.bmp.png', 'cam2/1.png']
    hook.after_test_iter(runner, 1, outputs=_pictures(tmp_path / 'data', '5.bmp'))
    assert not (tmp_path / 'shown' / '5.png').exists(), 'four are enough'


def test_no_drawing_takes_the_place_of_its_picture(tmp_path: Path, runner: SimpleNamespace) -> None:
    (sample,) = _pictures(tmp_path, 'a.png')
    before = (tmp_path / 'a.png').read_bytes()
    hook = TestPicturesHook(str(tmp_path))
    with pytest.raises(UserError, match=r'a.png would be overwritten by its own drawing. Name another --show-dir'):
        hook.after_test_iter(runner, 0, outputs=[sample])
    assert (tmp_path / 'a.png').read_bytes() == before
