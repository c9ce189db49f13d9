"""The supernet of a task: its config, its training, and what scores states with it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from mmengine.config import Config
from mmengine.device import get_device
from mmengine.dist import broadcast_object_list
from mmengine.registry import MODELS

from ..checkpoint.whole_model import find_checkpoint, load_weights
from ..config.switches import forgo_sync_batch_norm, without_pretrained
from ..engine.quiet import only_errors
from ..engine.runner import train
from ..errors import UserError
from ..files import write_text
from .job import TRAINED, Job, is_trained
from .methods import Method
from .pictures import Trial
from .result import set_widths
from .scoring import Scorer
from .space import Space

Note = Callable[[str], None]

#: Arguments of a backbone by which pretrained weights stay as they are.
FINE_TUNING = ('frozen_stages', 'norm_eval')


def to_supernet(cfg: Config, space: Space, method: Method) -> Config:
    """The task's config with a supernet in the place of its backbone, and its training.

    Weights of published networks are left out: none of them has all blocks of the largest network. So is what keeps
    such weights as they are, :data:`FINE_TUNING`: it would keep random ones.
    """
    supernet = copy.deepcopy(cfg)
    model = supernet.model
    set_widths(model, tuple(choices[-1] for choices in space.widths))
    backbone = {key: value for key, value in model.backbone.items() if key not in FINE_TUNING}
    backbone['init_cfg'] = without_pretrained(backbone.get('init_cfg')) or None
    model.backbone = dict(type=method.supernet.__name__, backbone=backbone, space=space.to_config())
    seed = (cfg.get('randomness') or {}).get('seed') or 0
    supernet.model = dict(type=method.training.__name__, model=model, seed=seed)
    supernet.model_wrapper_cfg = dict(type='SandwichProcesses')
    if method.undecayed and supernet.get('optim_wrapper'):
        decay = dict(custom_keys={name: dict(decay_mult=0.0) for name in method.undecayed})
        supernet.merge_from_dict(dict(optim_wrapper=dict(paramwise_cfg=decay)))
    imports = list((cfg.get('custom_imports') or {}).get('imports', ['effformer_dense']))
    supernet.custom_imports = dict(imports=[*imports, method.training.__module__], allow_failed_imports=False)
    supernet.load_from = None
    for key in ('work_dir', 'search', 'distill'):
        supernet.pop(key, None)
    return supernet


def by_the_first(job: Job, call: Callable[[], object]) -> None:
    """Let the first process do something while the others wait; an error of its is one of all of them."""
    errors: list[UserError | None] = [None]
    if job.is_first:
        try:
            call()
        except UserError as error:
            errors[0] = error
    broadcast_object_list(errors)
    if errors[0] is not None:
        raise errors[0]


def make_scorer(job: Job, cfg: Config, space: Space, note: Note) -> Scorer:
    """What scores states: with the supernet that is there, or that is trained now."""
    supernet = to_supernet(cfg, space, job.method)
    checkpoint = _trained(job, supernet, note)
    search = job.search
    return scorer_of(cfg, supernet, Trial(search.pictures, search.batches, search.score), checkpoint)


def scorer_of(cfg: Config, supernet: Config, trial: Trial, checkpoint: Path | None) -> Scorer:
    """What scores states of a supernet, with weights of a checkpoint, or with those that a training begins with."""
    model = copy.deepcopy(supernet.model)
    forgo_sync_batch_norm(model)  # each process scores states of its own
    sandwich = MODELS.build(model)
    if checkpoint is None:
        with only_errors():  # MMEngine tells of every parameter
            sandwich.init_weights()
    else:
        load_weights(sandwich, checkpoint)
    return Scorer(cfg, sandwich.to(get_device()), trial)


def trained_supernet(path: Path) -> Path:
    """Checkpoint of a supernet that the user names, a file or the work dir of its training.

    Raises:
        UserError: there is none, or it is a search's own, whose training has not ended.
    """
    folder = path if path.is_dir() else path.parent
    if (folder.parent / 'search.json').exists() and not is_trained(folder):
        raise UserError(
            f'--supernet {path}: its training has not ended. First go on with the search of {folder.parent}: --resume.'
        )
    return find_checkpoint(path)


def _trained(job: Job, supernet: Config, note: Note) -> Path:
    """Checkpoint of the trained supernet."""
    if job.search.supernet is not None:
        return trained_supernet(job.search.supernet)
    folder, config = job.supernet, job.supernet.with_suffix('.py')
    if not is_trained(folder):
        note('Training the supernet')
        by_the_first(job, lambda: write_text(config, supernet.pretty_text))
        options = replace(job.config, config=config, cfg_options=(), work_dir=folder, data_root=None)
        train(options, 'auto' if list(folder.glob('*.pth')) else None)
        by_the_first(job, lambda: write_text(folder / TRAINED, ''))
    return find_checkpoint(folder)
