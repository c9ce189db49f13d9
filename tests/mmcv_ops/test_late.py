"""mmdet and mmsegmentation imported before this package, as a config with ``custom_imports`` does it."""

from __future__ import annotations

from pathlib import Path

import pytest

from .interpreter import OPS, run

pytestmark = pytest.mark.slow  # an interpreter for each

# Users of ops as the frameworks have them: a function that raises, None, a base class, and who takes them from there.
FALLBACKS = {
    'mmdet/__init__.py': '',
    'mmdet/boxes.py': """
try:
    from mmcv.ops import nms
except ImportError:
    def nms():
        raise RuntimeError('no ops')
try:
    from mmcv.ops import nms as renamed
except ImportError:
    renamed = None
def bbox_overlaps():
    return 'own'
""",
    'mmdet/heads.py': """
from .boxes import nms, bbox_overlaps
try:
    from mmcv.ops import Attention
except ImportError:
    class Attention:
        def __init__(self):
            raise RuntimeError('no ops')
class Head(Attention):
    pass
""",
    'mmdet/models.py': """
from mmcv.ops import nms
class Mask2Former:
    def __init__(self):
        self.ready = True
""",
    'mmseg/__init__.py': '',
    'mmseg/heads.py': """
class BaseModule:
    pass
try:
    from mmdet.models import Mask2Former
except ImportError:
    Mask2Former = BaseModule
class Head(Mask2Former):
    pass
""",
}
USE = """
import mmdet.heads, mmseg.heads
assert mmdet.boxes.renamed is None and mmseg.heads.Mask2Former is mmseg.heads.BaseModule
heads = mmdet.heads.Head, mmseg.heads.Head
import effformer_dense, mmcv.ops
assert mmdet.boxes.nms is mmdet.boxes.renamed is mmdet.heads.nms is mmcv.ops.nms
assert mmdet.heads.bbox_overlaps() == 'own'
assert heads == (mmdet.heads.Head, mmseg.heads.Head)
print(mmdet.heads.Head().ready, mmseg.heads.Head().ready)
"""


@pytest.fixture
def frameworks(fake_mmcv: Path) -> Path:
    (fake_mmcv / 'ops.py').write_text(
        OPS + 'nms = _ext.nms\nclass Attention:\n    def __init__(self):\n        self.ready = True\n'
    )
    for name, text in FALLBACKS.items():
        path = fake_mmcv.parent / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return fake_mmcv.parent


def test_fallbacks_give_way_as_names_and_as_base_classes(frameworks: Path) -> None:
    done = run(USE, frameworks)
    assert done.stdout.splitlines()[-1:] == ['True True'], done.stderr


def test_broken_ops_are_named_and_fallbacks_stay(frameworks: Path) -> None:
    (frameworks / 'mmcv' / '_ext.cpython-38-x86_64-linux-gnu.so').touch()
    (frameworks / 'mmseg' / 'heads.py').write_text('')
    done = run('import mmdet.heads, effformer_dense; print(mmdet.boxes.renamed)', frameworks)
    assert done.returncode == 0 and done.stdout.splitlines()[-1] == 'None'
    assert "mmcv's compiled ops do not load" in done.stdout + done.stderr


REAL = """
import mmdet.apis, mmseg.apis
import effformer_dense, mmcv.ops
import mmdet.models
from mmdet.models.layers.msdeformattn_pixel_decoder import MultiScaleDeformableAttention
from mmdet.structures.mask.structures import roi_align
from mmseg.models.decode_heads import Mask2FormerHead
assert roi_align is mmcv.ops.roi_align and MultiScaleDeformableAttention is mmcv.ops.MultiScaleDeformableAttention
assert mmdet.models.layers.bbox_nms.batched_nms is mmcv.ops.batched_nms
assert issubclass(Mask2FormerHead, mmdet.models.dense_heads.Mask2FormerHead)
print('all there')
"""


def test_real_frameworks() -> None:
    done = run(REAL)
    assert done.stdout.splitlines()[-1:] == ['all there'], done.stderr
