"""Training and testing: MMEngine's Runner, with everything checked before it starts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from mmengine.config import Config
from mmengine.registry import MODELS
from mmengine.runner import Runner

from .checks import check_run
from .config import ConfigOptions, enter_scope, load_config
from .pictures_hook import PICTURES_HOOK
from .weights import find_checkpoint, load_weights, read_checkpoint


@dataclass(frozen=True)
class EvaluationOptions:
    """What testing needs besides the config.

    Attributes:
        checkpoint: a file, or the work dir of a training: its last checkpoint.
        show_dir: where to write pictures of ground truth beside predictions; None for no pictures.
        show_count: how many pictures at most.
        score_threshold: lowest score of a drawn instance.
    """

    checkpoint: Path
    show_dir: Path | None = None
    show_count: int = 20
    score_threshold: float = 0.5


def prepare(options: ConfigOptions, splits: tuple[str, ...]) -> Config:
    """Config of a run with scope and imports in place, checked."""
    cfg = load_config(options)
    enter_scope(cfg)
    check_run(cfg, splits)
    return cfg


def train(options: ConfigOptions, resume: str | None = None) -> Path:
    """Train, evaluating as the config says.

    Args:
        options: config and overrides.
        resume: None to start anew, ``'auto'`` for the last checkpoint in the work dir, or a checkpoint.

    Returns:
        The work dir.

    Raises:
        ValueError, FileNotFoundError: see :func:`.checks.check_run`, :func:`.weights.load_weights`.
    """
    if resume is not None:
        options = replace(options, from_scratch=True)  # the checkpoint brings every weight
    cfg = prepare(options, ('train', 'val'))
    if resume is not None:
        checkpoint = find_checkpoint(Path(cfg.work_dir if resume == 'auto' else resume))
        if 'optimizer' not in load_weights(MODELS.build(cfg.model), checkpoint):
            raise ValueError(
                f'{checkpoint} holds weights only, no state of a training to go on from. '
                f'To start from its weights: --cfg-options load_from={checkpoint}'
            )
        cfg.resume, cfg.load_from = True, str(checkpoint)
    elif cfg.get('load_from') and '://' not in cfg.load_from:
        read_checkpoint(find_checkpoint(Path(cfg.load_from)))
    Runner.from_cfg(cfg).train()
    return Path(cfg.work_dir)


def evaluate(options: ConfigOptions, evaluation: EvaluationOptions) -> dict[str, float]:
    """Evaluate a checkpoint on the test split.

    Returns:
        The metrics.

    Raises:
        ValueError: see :func:`.checks.check_run`, :func:`.weights.find_checkpoint` and :func:`.weights.load_weights`.
    """
    checkpoint = find_checkpoint(evaluation.checkpoint)
    cfg = prepare(options, ('test',))
    load_weights(MODELS.build(cfg.model), checkpoint)  # a misfit shows before a work dir is made
    if evaluation.show_dir is not None:
        hook = dict(
            type=PICTURES_HOOK,
            out_dir=str(evaluation.show_dir),
            count=evaluation.show_count,
            score_threshold=evaluation.score_threshold,
        )
        cfg.custom_hooks = [*cfg.get('custom_hooks', []), hook]
    cfg.load_from = None
    runner = Runner.from_cfg(cfg)
    load_weights(runner.model, checkpoint)
    return runner.test()
