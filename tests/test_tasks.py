"""Which task a model or a data set is of, whatever its names and arguments look like."""

from __future__ import annotations

from pathlib import Path

import pytest
from mmengine.dataset import BaseDataset
from mmengine.registry import init_default_scope

from effformer_dense.config.datasets import view
from effformer_dense.preflight.data import check_classes, check_folders
from effformer_dense.tasks import all_tasks, task_named, task_of_dataset, task_of_model

#: Default scope, type, task.
MODELS = [
    ('mmdet', 'MaskRCNN', 'detection'),
    ('mmdet', 'RetinaNet', 'detection'),
    ('mmdet', 'Mask2Former', 'detection'),
    ('mmdet', 'DINO', 'detection'),
    ('mmseg', 'EncoderDecoder', 'segmentation'),
    ('mmseg', 'TiledEncoderDecoder', 'segmentation'),
    ('mmseg', 'CascadeEncoderDecoder', 'segmentation'),
    ('mmseg', 'mmdet.FasterRCNN', 'detection'),
]
DATASETS = [
    ('mmdet', 'CocoDataset', 'detection'),
    ('mmdet', 'VOCDataset', 'detection'),
    ('mmdet', 'CocoPanopticDataset', 'detection'),
    ('mmdet', 'ShapesCocoDataset', 'detection'),
    ('mmseg', 'ADE20KDataset', 'segmentation'),
    ('mmseg', 'BaseSegDataset', 'segmentation'),
    ('mmseg', 'CityscapesDataset', 'segmentation'),
    ('mmseg', 'ShapesSegDataset', 'segmentation'),
]


@pytest.fixture(autouse=True)
def _registered() -> None:
    import effformer_dense.data.shapes_mmdet
    import effformer_dense.data.shapes_mmseg
    import effformer_dense.segmentation.register  # noqa: F401


@pytest.mark.parametrize(('scope', 'name', 'task'), MODELS)
def test_models(scope: str, name: str, task: str) -> None:
    init_default_scope(scope)
    assert task_of_model(dict(type=name)).name == task


@pytest.mark.parametrize(('scope', 'name', 'task'), DATASETS)
def test_datasets(scope: str, name: str, task: str) -> None:
    init_default_scope(scope)
    assert task_of_dataset(view(dict(type=name, metainfo=dict(classes=('one', 'two'))))).name == task


def test_what_is_neither() -> None:
    init_default_scope('mmengine')
    with pytest.raises(ValueError, match=r"'Gone' is not built on mmdet \(detection\) or mmseg.*custom_imports"):
        task_of_model(dict(type='Gone'))
    assert task_of_dataset(view(dict(type=BaseDataset))) is None
    with pytest.raises(ValueError, match='task must be one of detection, segmentation'):
        task_named('detecting')
    assert [task_named(task.name).framework for task in all_tasks()] == ['mmdet', 'mmseg']


def test_a_data_set_of_no_framework_is_left_to_itself(tmp_path: Path) -> None:
    own = view(dict(type=BaseDataset, data_root=str(tmp_path), metainfo=dict(classes=('one', 'two'))))
    check_classes(own)
    check_folders(own)
