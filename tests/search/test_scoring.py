"""Scores: the same on every process; of pictures as training has them; of metrics as the config computes them."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch

pytest.importorskip('mmseg')

from mmengine.config import Config
from torch import multiprocessing

from effformer_dense.config.datasets import datasets_of
from effformer_dense.engine.open import open_config
from effformer_dense.errors import UserError
from effformer_dense.options import ConfigOptions
from effformer_dense.search.judge import Judge
from effformer_dense.search.methods import JOINT
from effformer_dense.search.pictures import Trial, load_pictures
from effformer_dense.search.scoring import Scorer
from effformer_dense.search.space import Space
from effformer_dense.search.training import scorer_of, to_supernet
from effformer_dense.variants import V2
from tests.helpers import PROJECT_ROOT, free_port
from tests.search.spaces import SMALL_V2, small

STATES = [small(V2).largest, *(small(V2).random(random.Random(seed)) for seed in range(3))]


def shapes_config(task: str, root: Path, *options: str) -> Config:
    """Shapes of the demo, a few, of 64 px."""
    common = [f'{split}_dataloader.dataset.data_root={root}' for split in ('train', 'val', 'test')]
    sizes = ['dataset.shapes.size_px=64', 'batch_size=2', 'num_workers=0', 'persistent_workers=False']
    names = ('train', 'val') if task == 'maskrcnn' else ('training', 'validation')
    sizes += [f'dataset.shapes.splits.{name}={count}' for name, count in zip(names, (8, 6), strict=True)]
    common += [f'{split}_dataloader.{size}' for split in ('train', 'val', 'test') for size in sizes]
    if task == 'maskrcnn':
        common.append(f'val_evaluator.ann_file={root}/annotations/val.json')
    cfg = open_config(ConfigOptions(PROJECT_ROOT / 'configs' / f'{task}_v2_s0_shapes.py', (*common, *options)))
    for split in ('train', 'val'):
        datasets_of(cfg, split)[0].generate()
    return cfg


def make_scorer(cfg: Config, trial: Trial) -> Scorer:
    torch.manual_seed(0)
    return scorer_of(cfg, to_supernet(cfg, Space.from_config(V2, SMALL_V2), JOINT), trial, None)


def _rank(rank: int, port: int, root: Path) -> None:
    import torch.distributed as dist

    torch.set_num_threads(1)
    dist.init_process_group('gloo', init_method=f'tcp://127.0.0.1:{port}', rank=rank, world_size=2)
    cfg = shapes_config('semfpn', root)
    found = {metric: make_scorer(cfg, Trial(3, 2, metric)).scores(STATES) for metric in ('loss', 'mIoU')}
    torch.save(found, root / f'{rank}.pt')
    dist.barrier()
    dist.destroy_process_group()


@pytest.mark.slow
def test_processes_share_states_and_score_as_one_does(tmp_path: Path) -> None:
    cfg = shapes_config('semfpn', tmp_path)
    alone = {metric: make_scorer(cfg, Trial(3, 2, metric)).scores(STATES) for metric in ('loss', 'mIoU')}
    assert len(set(alone['loss'])) == len(STATES)
    multiprocessing.spawn(_rank, args=(free_port(), tmp_path), nprocs=2)
    first, second = (torch.load(tmp_path / f'{rank}.pt') for rank in range(2))
    assert first == second
    for metric, scores in alone.items():
        assert first[metric] == pytest.approx(scores, abs=5e-5)  # sums of other numbers of threads


@pytest.mark.slow
def test_losses_are_of_boxes_that_are_resized_with_the_picture(tmp_path: Path) -> None:
    pytest.importorskip('mmdet')
    cfg = shapes_config('maskrcnn', tmp_path, 'val_dataloader.dataset.pipeline.1.scale=(128,128)')
    assert [step.type for step in cfg.val_dataloader.dataset.pipeline[1:3]] == ['Resize', 'LoadAnnotations']
    preprocess = make_scorer(cfg, Trial(1, 1)).sandwich.data_preprocessor
    of_metric, of_loss = (load_pictures(cfg, preprocess, Trial(2, 1, metric)).validation for metric in (None, 'loss'))
    for annotated, resized in zip(of_metric[0]['data_samples'], of_loss[0]['data_samples'], strict=True):
        assert resized.img_shape == annotated.img_shape == (128, 128) and resized.ori_shape == (64, 64)
        assert torch.equal(resized.gt_instances.bboxes, 2 * annotated.gt_instances.bboxes)
        assert resized.gt_instances.masks.masks.shape[1:] == (128, 128)
    cfg.val_dataloader.dataset.pipeline[1].scale = (64, 64)
    assert make_scorer(cfg, Trial(2, 1, 'loss')).score(STATES[0]) < 0


@pytest.mark.slow
def test_training_pictures_of_different_sizes_are_filled_up_as_in_training(tmp_path: Path) -> None:
    cfg = shapes_config('semfpn', tmp_path)
    pipeline = cfg.train_dataloader.dataset.pipeline
    place = max(index for index, step in enumerate(pipeline) if step.type.startswith('Load')) + 1
    resize = dict(type='RandomResize', scale=(64, 64), ratio_range=(0.5, 1.0), keep_ratio=True)
    crop = dict(type='RandomCrop', crop_size=(56, 56))
    cfg.train_dataloader.dataset.pipeline = [*pipeline[:place], resize, crop, pipeline[-1]]
    scorer = make_scorer(cfg, Trial(2, 3, 'loss'))
    assert {tuple(batch['inputs'].shape[2:]) for batch in scorer._calibration} == {
        tuple(cfg.model.data_preprocessor.size)
    }
    assert scorer.score(STATES[1]) < 0


class _Coco:
    """As mmdet's metric: over all pictures of its file, if nobody says otherwise, and nothing for no predictions."""

    prefix, img_ids, dataset_meta, metrics = 'coco', None, None, ['bbox']

    def __init__(self) -> None:
        self.results: list = []

    def process(self, data_batch, data_samples) -> None:
        self.results.extend(data_samples)

    def compute_metrics(self, results) -> dict:
        return {'bbox_mAP': len(results) / len(self.img_ids)} if results else {}


def test_a_metric_is_of_the_pictures_that_were_scored() -> None:
    judge = Judge([_Coco()], {'classes': ('a',)}, [7, 9], None)
    assert judge.tell() == 0.0  # nothing found
    judge.add([dict(img_id=7)])
    assert judge.tell() == 0.5
    judge.add([dict(img_id=7), dict(img_id=9)])
    assert judge.tell() == 1.0  # and not of the ones before
    other = Judge([_Coco()], {'classes': ('a',)}, [7, 9], 'mIoU')
    with pytest.raises(UserError, match='computes no metric mIoU: it has others'):  # whatever is found
        other.tell()
    other.add([dict(img_id=7)])
    with pytest.raises(UserError, match=r'computes no metric mIoU: it has coco/bbox_mAP. Name one of them'):
        other.tell()
