"""Training and testing: MMEngine's Runner, with everything checked before it starts."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.model import is_model_wrapper
from mmengine.registry import MODELS
from mmengine.runner import Runner

from ..checkpoint.loaders import safe_loaders
from ..checkpoint.whole_files import newest_whole
from ..checkpoint.whole_model import check_start, find_checkpoint, load_weights
from ..config.datasets import dataset_nodes, datasets_of
from ..config.nodes import walk
from ..data.resizing import kind_of
from ..deploy.precision import check_precision
from ..deploy.speed import speed_up
from ..distillation import distil
from ..errors import UserError
from ..files import check_output_dir
from ..mmcv_ops import log_stand_in
from ..options import ConfigOptions, EvaluationOptions, TrainOptions
from ..preflight.device import check_device
from ..preflight.run import check_config, check_run
from ..segmentation.metric import SegmentationMetric
from ..tasks import task_of_model
from .fit_data import fit_data
from .open import open_config
from .pictures_hook import PICTURES_HOOK
from .quiet import QuietRunner
from .training.chosen import set_chosen, shards
from .training.earlier import check_not_wanted, set_aside
from .training.restart import is_restart, saved_before_restart
from .training.resume_from import checkpoint_to_resume
from .training.runner import TrainingRunner
from .training.session import Session, rank_and_size
from .training.sharding import check_can_shard


def load_checked_config(options: ConfigOptions, splits: tuple[str, ...]) -> Config:
    """Config of a run with scope and imports in place, checked; data that are generated are there."""
    cfg = open_config(options)
    if cfg.get('distill') and 'train' in splits:
        distil(cfg, options.max_pixels)
    check_config(cfg, splits)
    for split in splits:
        for dataset in datasets_of(cfg, split):
            if dataset.is_generated:
                dataset.generate()
    check_run(cfg, splits)
    return cfg


@safe_loaders()
def train(options: ConfigOptions, resume: str | None = None, training: TrainOptions | None = None) -> Path:
    """Train, evaluating as the config says.

    Args:
        options: config and overrides.
        resume: None to start anew, where checkpoints of an earlier training in the work dir are moved to a folder of
            their own; ``'auto'`` for the last checkpoint in the work dir, or a checkpoint. A job that its
            launcher has started again goes on with what it saved itself.
        training: seed, and what happens to bad numbers and bad files.

    Returns:
        The work dir.

    Raises:
        UserError, MissingFileError: see :func:`load_checked_config`, :func:`.training.resume_from.checkpoint_to_resume`
            and :meth:`.training.session.Session.open`.
        Interrupted: a signal has ended it, see :mod:`.training.interruption`.
    """
    asked, training = options, training or TrainOptions()
    if resume is not None:
        options = replace(options, from_scratch=True)  # the checkpoint brings every weight
    cfg = load_checked_config(options, ('train', 'val'))
    check_output_dir(Path(cfg.work_dir))
    set_chosen(cfg, training)
    if shards(cfg):
        check_can_shard(MODELS.build(copy.deepcopy(cfg.model)))  # mmdet writes into the config what it builds from
    if resume is None and cfg.get('resume'):  # as MMEngine means it: from the last checkpoint, if there is one
        resume = cfg.get('load_from') or ('auto' if newest_whole(Path(cfg.work_dir))[0] else None)
        cfg.resume = False
    if saved_before_restart(Path(cfg.work_dir)):
        resume = 'auto'
    checkpoint = None
    if resume is not None:
        checkpoint = _go_on(cfg, resume, rank_and_size(options.launcher)[1], training)
    else:
        _check_beginning(cfg)
    session = Session(asked, resume, Path(cfg.work_dir), training)
    with session.open():
        findings = fit_data(cfg, ('train', 'val'), options)
        if resume is None and session.is_first_process and not is_restart(Path(cfg.work_dir)):
            findings += [f'Checkpoints of an earlier training are in {folder} now.' for folder in set_aside(cfg)]
        runner = _start(TrainingRunner, cfg, findings)
        runner.going_on, runner.options = session.going_on, training
        runner.record(checkpoint)
        runner.train()
    return session.work_dir


def _check_beginning(cfg: Config) -> None:
    """Check what a training begins with that does not go on with another.

    Raises:
        UserError, MissingFileError: ``load_from`` is no whole checkpoint; or it is one that this training moves away.
    """
    if cfg.get('load_from') and '://' not in cfg.load_from:
        cfg.load_from = str(find_checkpoint(Path(cfg.load_from)))
        check_start(Path(cfg.load_from))
    check_not_wanted(cfg)


def _go_on(cfg: Config, resume: str, processes: int, training: TrainOptions) -> Path:
    """Let a run go on from a checkpoint, with the seed that it began with.

    Raises:
        UserError: see :func:`.training.resume_from.checkpoint_to_resume`; or another seed is wanted.
    """
    checkpoint, meta = checkpoint_to_resume(cfg, resume, processes)
    seed = meta.get('seed')
    if isinstance(seed, int):
        if training.seed not in (None, seed):
            raise UserError(f'The run of {checkpoint} has seed {seed} and goes on with it: leave out --seed.')
        cfg.randomness = {**cfg.get('randomness', {}), 'seed': seed}
    cfg.resume, cfg.load_from = True, str(checkpoint)
    return checkpoint


@safe_loaders()
def evaluate(options: ConfigOptions, evaluation: EvaluationOptions) -> dict[str, float]:
    """Evaluate a checkpoint on the test split.

    Returns:
        The metrics.

    Raises:
        UserError: see :func:`load_checked_config`, :func:`..checkpoint.whole_model.find_checkpoint` and
            :func:`..checkpoint.whole_model.load_weights`; outputs that cannot be written, or options that the config
            has nothing for.
    """
    ignored = [option for option in options.cfg_options if option.startswith('test_dataloader.dataset.pipeline')]
    if evaluation.tta and ignored:
        raise UserError(f'--tta uses tta_pipeline: {ignored[0]} would change nothing. Override tta_pipeline instead.')
    if options.amp and not torch.cuda.is_available():
        raise UserError('--amp on a CPU is for training: predictions are made in float32 there. Leave it out.')
    if options.amp and evaluation.precision == 'bf16':
        raise UserError('--amp and --precision bf16 are two ways to compute in half precision: choose one.')
    check_precision(evaluation.precision, check_device(None))
    checkpoint = find_checkpoint(evaluation.checkpoint)
    cfg = load_checked_config(options, ('test',))
    _check_outputs(cfg, evaluation)
    trial = MODELS.build(copy.deepcopy(cfg.model))  # what does not fit shows before a work dir is made
    load_weights(trial, checkpoint)
    # In float32: the trial stays on the CPU, which need not have the precision of the GPU that the test runs on.
    speed_up(trial, evaluation.fuse or evaluation.precision == 'bf16', evaluation.compile)
    _set_outputs(cfg, evaluation, options.cfg_options)
    if evaluation.tta:
        _enable_tta(cfg)
    cfg.load_from = None
    runner = _start(QuietRunner, cfg, fit_data(cfg, ('test',), options))
    _load_into(runner, checkpoint, evaluation)
    return runner.test()


def _start(kind: type[QuietRunner], cfg: Config, findings: Sequence[str]) -> Runner:
    """A runner, which first tells what was found in the data."""
    runner = kind.from_cfg(cfg)
    log_stand_in(runner.logger)
    for line in findings:
        runner.logger.warning(line)
    return runner


def _load_into(runner: Runner, checkpoint: Path, evaluation: EvaluationOptions) -> None:
    """Load weights into the runner's model and speed it up; it may be wrapped, by DDP or for augmentation."""
    holder, name = runner, 'model'
    if is_model_wrapper(runner.model):
        holder, name = runner.model, 'module'
    if evaluation.tta:
        holder, name = getattr(holder, name), 'module'
    model = getattr(holder, name)
    load_weights(model, checkpoint)
    setattr(holder, name, speed_up(model, evaluation.fuse, evaluation.compile, evaluation.precision))


def _check_outputs(cfg: Config, evaluation: EvaluationOptions) -> None:
    """Check that outputs can be written without replacing existing files."""
    for folder in filter(None, (Path(cfg.work_dir), evaluation.show_dir, evaluation.save_segmentation_maps)):
        check_output_dir(folder)
    views = (view for split in ('train', 'val', 'test') for view in datasets_of(cfg, split))
    folders = {Path(folder).resolve() for view in views for folder in view.folders.values()}
    shown = evaluation.show_dir
    if shown is not None and any(shown.resolve().is_relative_to(folder) for folder in folders):
        raise UserError(f'--show-dir {shown} is in a folder of the data set, whose files drawings could replace.')
    map_dir = evaluation.save_segmentation_maps
    if map_dir is not None and map_dir.is_dir() and any(map_dir.iterdir()):
        raise UserError(
            f'{map_dir} is not empty: segmentation maps of several runs would mix, or take the place of annotations. '
            'Name a new folder for --save-segmentation-maps.'
        )


def _set_outputs(cfg: Config, evaluation: EvaluationOptions, cfg_options: Sequence[str]) -> None:
    """Pictures, segmentation maps and reports that testing writes besides its log."""
    if evaluation.show_dir is not None:
        hook = dict(
            type=PICTURES_HOOK,
            out_dir=str(evaluation.show_dir),
            roots=[str(folder) for view in datasets_of(cfg, 'test') for folder in view.folders.values()],
            count=evaluation.show_count,
            score_threshold=evaluation.score_threshold,
            task=task_of_model(cfg.model).name,
        )
        cfg.custom_hooks = [*cfg.get('custom_hooks', []), hook]
    metrics = [node for _, node in walk(cfg.test_evaluator) if kind_of(node) == SegmentationMetric.__name__]
    source = dict(
        config=cfg.filename,
        checkpoint=str(evaluation.checkpoint),
        data_root=str(datasets_of(cfg, 'test')[0].root),
        cfg_options=list(cfg_options),
        test_cfg=cfg.model.get('test_cfg'),
        tta=evaluation.tta,
    )
    for metric in metrics:
        metric.setdefault('report_dir', cfg.work_dir)
        metric.setdefault('source', source)
        if evaluation.save_segmentation_maps is not None:
            metric['map_dir'] = str(evaluation.save_segmentation_maps)
    if evaluation.save_segmentation_maps is not None and not metrics:
        raise UserError(
            'Segmentation maps are written for segmentors, by '
            f'test_evaluator=dict(type={SegmentationMetric.__name__!r}). '
            f'The config has {", ".join(str(node.get("type")) for _, node in walk(cfg.test_evaluator))}.'
        )


def _enable_tta(cfg: Config) -> None:
    """Switch the config to test-time augmentation."""
    missing = [key for key in ('tta_model', 'tta_pipeline') if not cfg.get(key)]
    if missing:
        raise UserError(
            f'Test-time augmentation needs {" and ".join(missing)} in the config. For a segmentor, take both from '
            'configs/_base_/ade20k.py.'
        )
    if kind_of(cfg.tta_model) == 'SegTTAModel' and kind_of(cfg.model) == 'TiledEncoderDecoder':
        raise UserError(
            "tta_model.type 'SegTTAModel' wants logits that TiledEncoderDecoder does not keep: 'MultiScaleFlipModel'."
        )
    cfg.test_dataloader.batch_size = 1
    for dataset in dataset_nodes(cfg.test_dataloader.dataset):
        dataset['pipeline'] = cfg.tta_pipeline
    cfg.model = dict(**cfg.tta_model, module=cfg.model)
