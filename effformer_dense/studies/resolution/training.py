"""Nets of a study: made, trained at 224 px, fine-tuned on larger canvases.

A plain loop: scenes follow from their number, so that a run that was interrupted goes on with what it would have seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from mmcv.cnn import ConvModule
from mmengine.config import Config
from mmengine.registry import DefaultScope
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ...config.home import CONFIGS
from ...files import write_atomically
from .scenes import NUM_CLASSES, Scene, make_scene
from .settings import BASE_SIZE, Settings

#: Standard deviation of new bias tables. Heads look at different distances from the first step on. From zero, a net of
#: this size needs many times more steps to find a distance than a study on two cores has.
TABLE_STD = 3.0
#: Learning rate of the tables, times that of the rest: softmax wants logits of several units.
TABLE_RATE = 10.0
#: Weight of ground, which is most pixels, in the loss.
_GROUND_WEIGHT = 0.2
_WARM_UP = 0.1  # of the steps
_SAVED_EVERY = 50  # steps


def build_net(
    settings: Settings, bias_resize: str = 'bicubic', attention_scale: str | None = None, talking_bias: str = 'sum'
) -> nn.Module:
    """Semantic FPN on EfficientFormerV2 S0, with weights that were not trained."""
    from mmseg.registry import MODELS

    from ...segmentation.segmentor import TiledEncoderDecoder  # noqa: F401  registers itself

    model = Config.fromfile(CONFIGS / '_base_' / 'semantic_fpn_small.py').model
    model.data_preprocessor = None
    model.backbone.update(bias_resize=bias_resize, attention_scale=attention_scale, talking_bias=talking_bias)
    model.neck.out_channels = model.decode_head.channels = settings.channels
    model.decode_head.in_channels = [settings.channels] * 4
    model.decode_head.num_classes = NUM_CLASSES
    DefaultScope.get_instance('studies', scope_name='mmseg')
    net = MODELS.build(model)
    net.init_weights()
    for table in tables(net):
        nn.init.normal_(table, std=TABLE_STD)
    return net


def tables(net: nn.Module) -> list[nn.Parameter]:
    return [parameter for name, parameter in net.named_parameters() if name.endswith('bias.table')]


def logits(net: Any, images: Tensor) -> Tensor:
    """(B, 3, H, W) to (B, K, H, W)."""
    return F.interpolate(net.decode_head(net.extract_feat(images)), images.shape[2:], mode='bilinear')


def to_tensors(scenes: Iterable[Scene]) -> tuple[Tensor, Tensor]:
    """Images (B, 3, H, W), roughly from -2 to 2, and labels (B, H, W)."""
    pairs = [(torch.tensor(scene.image), torch.tensor(scene.labels)) for scene in scenes]
    images, labels = (torch.stack(parts) for parts in zip(*pairs, strict=True))
    return (images.permute(0, 3, 1, 2).float() - 128) / 64, labels.long()


def trained(settings: Settings, seed: int, folder: Path) -> dict[str, Tensor]:
    """Weights after training at 224 px; from ``folder`` if they are there."""
    place, partial_place = folder / 'trained.pth', folder / 'partial.pth'
    if not place.exists():
        torch.manual_seed(seed)
        net = build_net(settings)
        scenes = partial(_batch, seed, 'train', BASE_SIZE, settings.batch)
        fit(net, settings.train_steps, settings.learning_rate, scenes, saved=partial_place)
        _save(net.state_dict(), place)
        partial_place.unlink(missing_ok=True)
    return torch.load(place, weights_only=True)


def fine_tune(settings: Settings, seed: int, net: nn.Module, after: Callable[[int], None]) -> None:
    """Train on at a tenth of the rate, on one canvas a step, with batch norms that keep their statistics.

    Statistics of single pictures would hide from training what evaluation suffers from: each picture's own offset of
    the features, which grows with the number of tokens.

    Args:
        settings, seed: of the study and the net.
        net: with the weights that :func:`trained` gave.
        after: called with each of ``settings.tuned_steps`` when it is reached.
    """
    scenes = partial(_batch, seed, 'tune', settings.tuned_size, 1)
    steps = max(settings.tuned_steps)

    def reached(step: int) -> None:
        if step in settings.tuned_steps:
            after(step)

    fit(net, steps, settings.learning_rate / 10, scenes, after=reached, frozen_norms=True)


def _batch(seed: int, split: str, size: tuple[int, int], number: int, step: int) -> tuple[Tensor, Tensor]:
    return to_tensors(make_scene(seed, split, step * number + place, size) for place in range(number))


def fit(
    net: nn.Module,
    steps: int,
    rate: float,
    scenes: Callable[[int], tuple[Tensor, Tensor]],
    saved: Path | None = None,
    after: Callable[[int], object] = lambda step: None,
    frozen_norms: bool = False,
) -> None:
    """AdamW over ``scenes(step)``, the rate up and then down along a cosine.

    Args:
        net: is trained.
        steps: in all.
        rate: the largest one.
        scenes: images and labels of a step.
        saved: where the state is kept every now and then, and found again.
        after: called with the number of steps done.
        frozen_norms: batch norms take their statistics from what they have seen before.
    """
    norms = [module for module in net.modules() if isinstance(module, _BatchNorm)] if frozen_norms else []
    for module in net.modules() if frozen_norms else ():
        if isinstance(module, ConvModule):
            module.turn_on_efficient_conv_bn_eval()  # our backbone does so by itself
    own = {id(table) for table in tables(net)}
    rest = [parameter for parameter in net.parameters() if id(parameter) not in own]
    groups: list[dict[str, Any]] = [dict(params=rest), dict(params=tables(net), lr=rate * TABLE_RATE, weight_decay=0.0)]
    optimizer = torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.95), weight_decay=0.05)
    rates = [group['lr'] for group in optimizer.param_groups]
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, rates, total_steps=steps + 1, pct_start=_WARM_UP, cycle_momentum=False
    )
    parts: dict[str, Any] = dict(net=net, optimizer=optimizer, schedule=schedule)
    first = _restore(parts, saved)
    weight = torch.ones(NUM_CLASSES)
    weight[0] = _GROUND_WEIGHT
    for step in range(first, steps):
        net.train()
        for norm in norms:
            norm.eval()
        images, labels = scenes(step)
        loss = F.cross_entropy(logits(net, images), labels, weight)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 10.0)
        optimizer.step()
        schedule.step()
        if saved is not None and (step + 1) % _SAVED_EVERY == 0:
            _save({'step': step + 1, **{name: part.state_dict() for name, part in parts.items()}}, saved)
            print(f'{saved.parent.name}: step {step + 1} of {steps}, loss {loss.item():.3f}', flush=True)
        after(step + 1)


def _restore(parts: dict, saved: Path | None) -> int:
    """Steps that were done before."""
    if saved is None or not saved.exists():
        return 0
    state = torch.load(saved, weights_only=True)
    for name, part in parts.items():
        part.load_state_dict(state[name])
    return state['step']


def _save(state: dict, place: Path) -> None:
    write_atomically(place, lambda scratch: torch.save(state, scratch))
