"""Training, testing and inference from end to end, on four pictures of 64 px."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.registry import MODELS, TRANSFORMS
from mmengine.runner import set_random_seed
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from effformer_dense.checkpoint.whole_model import find_checkpoint, read_checkpoint
from effformer_dense.config.registry import find_component
from effformer_dense.data.shapes import CLASSES
from effformer_dense.engine.infer import TorchPredictor, infer
from effformer_dense.engine.open import open_for_prediction
from effformer_dense.engine.runner import evaluate, load_checked_config, train
from effformer_dense.errors import UserError
from effformer_dense.inference.video import Video, VideoWriter, frames_of
from effformer_dense.mmcv_ops import is_compiled
from effformer_dense.options import ConfigOptions, EvaluationOptions, InferOptions
from effformer_dense.results.classes import category_ids
from tests.data.bombs import png_bomb

from .conftest import write_tiny_config

pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def trained_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Config of a finished training; its work dir and its pictures lie beside it."""
    folder = tmp_path_factory.mktemp('detector')
    config = write_tiny_config(folder)
    train(ConfigOptions(config, work_dir=folder / 'work'))
    return config


@pytest.fixture
def trained(trained_once: Path, tmp_path: Path) -> tuple[ConfigOptions, Path]:
    """Options and work dir, a copy, of the finished training."""
    work_dir = shutil.copytree(trained_once.parent / 'work', tmp_path / 'work')
    return ConfigOptions(trained_once, work_dir=work_dir), work_dir


def test_train_test_and_resume(trained: tuple[ConfigOptions, Path], tmp_path: Path) -> None:
    options, work_dir = trained
    checkpoint = find_checkpoint(work_dir)
    assert checkpoint.name == 'epoch_1.pth'
    log = next(work_dir.glob('*/*.log')).read_text()
    assert log.count('mmcv has no compiled ops') == (0 if is_compiled() else 1)
    metrics = evaluate(options, EvaluationOptions(work_dir, show_dir=tmp_path / 'shown', show_count=1))
    assert all(metrics[f'coco/{kind}_mAP'] >= 0 for kind in ('bbox', 'segm')), (
        '-1: no class was found in the annotations'
    )
    shown = list((tmp_path / 'shown').iterdir())
    assert [p.name for p in shown] == ['000000.png']
    data = {path: path.read_bytes() for path in options.config.parent.rglob('*.png')}
    for folder in {path.parent for path in data if path.name == '000000.png'}:
        with pytest.raises(UserError, match='is in a folder of the data set, whose files drawings could replace'):
            evaluate(options, EvaluationOptions(work_dir, show_dir=folder))
    assert all(path.read_bytes() == content for path, content in data.items())
    width, height = Image.open(shown[0]).size
    assert 1.8 * height < width < 2.2 * height, 'ground truth and prediction side by side, captions above'

    longer = ConfigOptions(options.config, cfg_options=['train_cfg.max_epochs=2'], work_dir=work_dir)
    train(longer, resume='auto')
    resumed = read_checkpoint(find_checkpoint(work_dir))
    assert resumed['meta']['epoch'] == 2 and resumed['meta']['iter'] == 4
    assert resumed['meta']['dataset_meta']['classes'] == CLASSES


@pytest.mark.parametrize('options', [dict(show_count=3), dict(score_threshold=0.3)])
def test_options_of_drawings_want_drawings(options: dict) -> None:
    with pytest.raises(UserError, match=r'--(show-count|score-threshold) is for drawn pictures: name a folder'):
        EvaluationOptions(Path('x'), **options)
    EvaluationOptions(Path('x'), show_dir=Path('y'), **options)


def test_steps_whose_type_is_a_class_are_known(trained: tuple[ConfigOptions, Path], tmp_path: Path) -> None:
    """As in MMEngine's configs in pure Python."""
    options, work_dir = trained
    cfg = open_for_prediction(options)
    steps = cfg.test_dataloader.dataset.pipeline
    for step in steps:
        step.type = find_component(TRANSFORMS, step.type)
    predictor = TorchPredictor(cfg, find_checkpoint(work_dir), InferOptions(work_dir, 'x', tmp_path))
    assert predictor._reads_plainly
    assert [type(step).__name__ for step in predictor._pipeline.transforms] == ['Resize', 'PackDetInputs']


def test_another_training_and_a_test_leave_what_is_there(trained: tuple[ConfigOptions, Path]) -> None:
    options, work_dir = trained
    checkpoint, config = find_checkpoint(work_dir).read_bytes(), (work_dir / 'tiny.py').read_text()
    evaluate(replace(options, cfg_options=('model.test_cfg.rcnn.score_thr=0.2',)), EvaluationOptions(work_dir))
    assert (work_dir / 'tiny.py').read_text() == config
    train(replace(options, cfg_options=('train_cfg.max_epochs=1', 'randomness.seed=7')))
    assert find_checkpoint(work_dir).read_bytes() != checkpoint
    (aside,) = work_dir.glob('earlier_*')
    assert find_checkpoint(aside).read_bytes() == checkpoint and (aside / 'tiny.py').read_text() == config
    assert f'Checkpoints of an earlier training are in {aside} now' in _last_log(work_dir)


def _last_log(work_dir: Path) -> str:
    return max(work_dir.glob('*/*.log')).read_text()


def test_load_from_may_name_a_work_dir(trained: tuple[ConfigOptions, Path], tmp_path: Path) -> None:
    options, work_dir = trained
    given = (f'load_from={work_dir}', 'optim_wrapper.optimizer.lr=1e-30')
    train(replace(options, work_dir=tmp_path / 'other', cfg_options=given))
    first, second = (read_checkpoint(find_checkpoint(one))['state_dict'] for one in (work_dir, tmp_path / 'other'))
    assert all(torch.equal(first[name], value) for name, value in second.items() if name.endswith('conv.weight'))


def test_resuming_runs_no_text_of_the_checkpoint(trained: tuple[ConfigOptions, Path], tmp_path: Path) -> None:
    """Runner.resume executes `meta.config`, which mmcv 1 left there; MMEngine leaves the others."""
    options, work_dir = trained
    state = read_checkpoint(find_checkpoint(work_dir))
    canary = tmp_path / 'ran'
    program = f'open({str(canary)!r}, "w").close()'
    state['meta'] |= dict(config=program, cfg=program)
    state['message_hub']['runtime_info']['cfg'] = program
    torch.save(state, tmp_path / 'hostile.pth')
    longer = ConfigOptions(options.config, cfg_options=['train_cfg.max_epochs=2'], work_dir=work_dir)
    train(longer, resume=str(tmp_path / 'hostile.pth'))
    assert read_checkpoint(find_checkpoint(work_dir))['meta']['epoch'] == 2
    assert not canary.exists()


OWN_RUNNER = """
import sys
import mmdet.apis  # before anything says that effformer_dense exists
from mmengine.config import Config
from mmengine.runner import Runner
cfg = Config.fromfile(sys.argv[1])
cfg.work_dir = sys.argv[2]
Runner.from_cfg(cfg).train()
"""


def test_mmengines_own_runner_that_knows_us_by_custom_imports(tiny_config: Path, tmp_path: Path) -> None:
    """As mmdet's own tools do. Without compiled ops, mmdet has made do with functions that raise."""
    command = [sys.executable, '-W', 'ignore', '-c', OWN_RUNNER, str(tiny_config), str(tmp_path / 'work')]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert (tmp_path / 'work' / 'epoch_1.pth').is_file(), done.stderr[-2000:]
    assert 'coco/segm_mAP' in done.stdout + done.stderr


def test_training_moves_every_weight_of_the_backbone(trained: tuple[ConfigOptions, Path]) -> None:
    """From the same seed, nothing that learns stays where it started."""
    options, work_dir = trained
    cfg = load_checked_config(options, ())
    set_random_seed(cfg.randomness.seed)
    fresh = MODELS.build(cfg.model)
    fresh.init_weights()
    loaded = read_checkpoint(find_checkpoint(work_dir))['state_dict']
    still = [
        name
        for name, parameter in fresh.backbone.named_parameters()
        if 'bias.table' not in name and torch.equal(loaded[f'backbone.{name}'], parameter)
    ]
    assert still == []


def test_resume_refuses_what_is_no_training(trained: tuple[ConfigOptions, Path], tmp_path: Path) -> None:
    options, work_dir = trained
    weights = tmp_path / 'weights.pth'
    torch.save({'state_dict': read_checkpoint(find_checkpoint(work_dir))['state_dict']}, weights)
    with pytest.raises(ValueError, match='holds weights only'):
        train(options, resume=str(weights))
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(ValueError, match=r'\(1,000 bytes\) is no readable checkpoint'):
        train(options, resume=str(weights))
    fresh = ConfigOptions(options.config, work_dir=tmp_path / 'never')
    with pytest.raises(ValueError, match='never does not exist'):
        train(fresh, resume='auto')
    assert not (tmp_path / 'never').exists()


def test_infer_writes_pictures_and_coco_tables(trained: tuple[ConfigOptions, Path], tmp_path: Path) -> None:
    options, work_dir = trained
    source = tmp_path / 'mine'
    (source / 'deep').mkdir(parents=True)
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (50, 90), dtype=np.uint8)).save(source / 'grey.png')
    Image.fromarray(rng.integers(0, 256, (90, 50, 4), dtype=np.uint8)).save(source / 'deep' / 'alpha.png')
    Image.fromarray(rng.integers(0, 256, (70, 70, 3), dtype=np.uint8)).save(source / 'same.jpg')
    Image.fromarray(rng.integers(0, 256, (70, 70, 3), dtype=np.uint8)).save(source / 'same.png')
    (source / 'bad.png').write_bytes(b'')
    png_bomb(source / 'bomb.png', 50_000, 50_000)
    Image.new('L', (60_000, 32)).save(source / 'long.png')
    out = tmp_path / 'out'
    with pytest.raises(
        ValueError,
        match=r'3 of 7 pictures cannot be used:\n.*bad.png: the file is empty.*\n.*bomb.png: .*--max-pixels.*\n'
        r'.*long.png: the pipeline makes \d+ x \d px of its 60000 x 32 px.*\n.*--skip-bad',
    ):
        infer(options, InferOptions(work_dir, str(source), out))
    assert not out.exists()
    infer(options, InferOptions(work_dir, str(source), out, score_threshold=0.0, skip_bad=True))
    drawn = sorted(p.relative_to(out / 'pictures').as_posix() for p in (out / 'pictures').rglob('*.*'))
    assert drawn == ['deep/alpha.png', 'grey.png', 'same.jpg.png', 'same.png.png']
    coco = COCO(str(out / 'predictions.json'))
    assert len(coco.imgs) == 4 and [c['name'] for c in coco.cats.values()] == list(CLASSES)
    assert sorted(i['file_name'] for i in coco.imgs.values()) == ['deep/alpha.png', 'grey.png', 'same.jpg', 'same.png']
    by_name = {image['file_name']: image for image in coco.imgs.values()}
    assert (by_name['grey.png']['height'], by_name['grey.png']['width']) == (50, 90)
    assert len(coco.anns) > 20, 'no threshold: a detector that has learnt nothing finds many things'
    for annotation in coco.anns.values():
        assert 0 <= annotation['score'] <= 1 and annotation['category_id'] in coco.cats
        image = coco.imgs[annotation['image_id']]
        assert coco.annToMask(annotation).shape == (image['height'], image['width'])


def test_infer_gives_results_that_can_be_scored(trained: tuple[ConfigOptions, Path], tmp_path: Path) -> None:
    """In batches of two as one by one; with the ids of the data set, and nothing to look at."""
    options, work_dir = trained
    shapes = options.config.parent / 'shapes'
    truth = COCO(str(shapes / 'annotations' / 'val.json'))
    found = []
    for batch in (1, 2):
        out = tmp_path / f'{batch}'
        arguments = dict(no_pictures=True, format='coco', ids=shapes / 'annotations' / 'val.json', batch=batch)
        infer(options, InferOptions(work_dir, str(shapes / 'val'), out, **arguments))
        assert [path.name for path in out.iterdir()] == ['results.json']
        scored = truth.loadRes(str(out / 'results.json'))
        assert set(scored.getImgIds()) == set(truth.getImgIds()) and len(scored.anns) > 20
        found.append(_table(list(scored.anns.values())))
    one_by_one, in_batches = found
    assert len(one_by_one) == len(in_batches)
    apart = np.abs(one_by_one[:, None] - in_batches).max(axis=2)  # scores that are even may come in either order
    assert apart.min(axis=0).max() < 1e-2 and apart.min(axis=1).max() < 1e-2


def test_infer_on_a_video_is_infer_on_its_frames(trained: tuple[ConfigOptions, Path], tmp_path: Path) -> None:
    pytest.importorskip('av')
    options, work_dir = trained
    film = tmp_path / 'film.mp4'
    picture = np.asarray(Image.open(next((options.config.parent / 'shapes' / 'val').iterdir())).convert('RGB'))
    with VideoWriter(film, Fraction(5)) as writer:
        for number in range(3):
            writer.write(np.roll(picture, 5 * number, axis=1), Fraction(number, 5))
    infer(options, InferOptions(work_dir, str(film), tmp_path / 'film', score_threshold=0.0, format='tables'))
    frames = list(frames_of(Video(str(film), 'film'), 10**6))
    (tmp_path / 'frames').mkdir()
    for number, frame in enumerate(frames):
        Image.fromarray(frame.pixels).save(tmp_path / 'frames' / f'{number:06}.png')
    infer(options, InferOptions(work_dir, str(tmp_path / 'frames'), tmp_path / 'single', no_pictures=True))
    tables = [json.loads((tmp_path / name / 'predictions.json').read_text()) for name in ('film', 'single')]
    assert [image['file_name'] for image in tables[0]['images']] == [f'film/{number:06}.png' for number in range(3)]
    assert len(tables[0]['annotations']) > 10 and tables[0]['annotations'] == tables[1]['annotations']
    assert len(list(frames_of(Video(str(tmp_path / 'film/videos/film.mp4'), 'film'), 10**7))) == 3


def test_pipelines_that_read_in_their_own_way(trained: tuple[ConfigOptions, Path], tmp_path: Path) -> None:
    """Pillow's decoder, say: pictures go its way, and frames have none."""
    options, work_dir = trained
    own = replace(options, cfg_options=('test_dataloader.dataset.pipeline.0.imdecode_backend=pillow',))
    pictures = str(options.config.parent / 'shapes' / 'val')
    tables = []
    for name, choice in (('own', own), ('plain', options)):
        infer(choice, InferOptions(work_dir, pictures, tmp_path / name, no_pictures=True))
        tables.append(_table(json.loads((tmp_path / name / 'predictions.json').read_text())['annotations']))
    np.testing.assert_allclose(tables[0], tables[1], rtol=0, atol=1e-2)
    pytest.importorskip('av')
    with VideoWriter(tmp_path / 'film.mp4', Fraction(5)) as writer:
        writer.write(np.zeros((64, 64, 3), np.uint8), Fraction(0))
    with pytest.raises(UserError, match=r'Frames of a video need a test pipeline that begins with .*LoadImageFromFile'):
        infer(own, InferOptions(work_dir, str(tmp_path / 'film.mp4'), tmp_path / 'never'))
    assert not (tmp_path / 'never').exists()


def test_checkpoints_that_do_not_fit_are_refused(trained: tuple[ConfigOptions, Path], tmp_path: Path) -> None:
    options, work_dir = trained
    with pytest.raises(ValueError, match=r'gone.pth does not exist'):
        evaluate(options, EvaluationOptions(tmp_path / 'gone.pth'))
    with pytest.raises(ValueError, match='holds no checkpoint'):
        (tmp_path / 'empty').mkdir()
        evaluate(options, EvaluationOptions(tmp_path / 'empty'))
    whole = find_checkpoint(work_dir).read_bytes()
    cut = tmp_path / 'cut.pth'
    for share, message in ((0.0, 'is empty'), (0.5, r'\([\d,]+ bytes\) is no readable checkpoint')):
        cut.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(ValueError, match=f'cut.pth {message}'):
            evaluate(options, EvaluationOptions(cut))
    other = ConfigOptions(
        options.config,
        cfg_options=['model.backbone.arch=s1', 'model.neck.in_channels=[32,48,120,224]'],
        work_dir=work_dir,
    )
    with pytest.raises(ValueError, match='These weights are of EfficientFormerV2 s0, and the backbone is'):
        evaluate(other, EvaluationOptions(work_dir))
    wider = ConfigOptions(
        options.config, cfg_options=['model.roi_head.bbox_head.fc_out_channels=32'], work_dir=work_dir
    )
    with pytest.raises(ValueError, match=r'does not fit the config: .* of another shape \(roi_head.bbox_head'):
        evaluate(wider, EvaluationOptions(work_dir))


def test_category_ids_of_coco_are_its_own() -> None:
    from mmdet.datasets import CocoDataset

    ids = category_ids(CocoDataset.METAINFO['classes'])
    assert len(ids) == 80 and (ids[0], ids[11], ids[-1]) == (1, 13, 90)
    assert category_ids(CLASSES) == [1, 2, 3, 4, 5]


def test_fused_and_compiled_models_find_the_same(trained: tuple[ConfigOptions, Path], tmp_path: Path) -> None:
    """Box for box and mask for mask: average precision after two iterations is 0, whatever a model finds."""
    options, work_dir = trained
    evaluated, inferred = [], []
    for name, fast in (('plain', False), ('fast', True)):
        override = f'test_evaluator.outfile_prefix={tmp_path / name}'
        test = ConfigOptions(options.config, cfg_options=[override], work_dir=work_dir)
        evaluate(test, EvaluationOptions(work_dir, fuse=fast, compile=fast))
        evaluated.append(_table(json.loads((tmp_path / f'{name}.segm.json').read_text())))
        out = tmp_path / f'inferred_{name}'
        pictures = str(options.config.parent / 'shapes' / 'val')
        infer(options, InferOptions(work_dir, pictures, out, score_threshold=0.0, fuse=fast, compile=fast))
        inferred.append(_table(json.loads((out / 'predictions.json').read_text())['annotations']))
    for plain, fast in (evaluated, inferred):
        assert len(plain) > 20 and len(fast) == len(plain)
        # Each has its partner; those of one score, to rounding, may come in another order.
        partners = (np.abs(fast[:, None] - plain) <= 1e-3).all(axis=2)  # (fast, plain)
        assert partners.any(axis=0).all() and partners.any(axis=1).all()


def _table(annotations: list[dict]) -> np.ndarray:
    """(N, 8): picture, class, box in px, score, pixels of the mask."""
    rows = [[a['image_id'], a['category_id'], *a['bbox'], a['score']] for a in annotations]
    return np.column_stack([rows, [coco_mask.area(a['segmentation']) for a in annotations]])
