"""What a search leaves: a config, weights, and pictures."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from mmengine.registry import MODELS
from torch import Tensor

from ..checkpoint.write import write_torch
from ..config.load import read_config
from ..config.switches import without_pretrained
from ..engine.open import open_config
from ..errors import UserError
from ..files import write_atomically, write_text
from ..options import ConfigOptions
from ..preflight.widths import expected_widths
from ..rows import to_arch
from ..variants import ALL_VARIANTS, Variant
from .latency import LatencyTable
from .scoring import Scorer
from .walk import Record

#: Relative difference of maps behind the neck that rounding explains.
_ROUNDING = 1e-4


def set_widths(model: Any, widths: tuple[int, ...]) -> None:
    """Let what follows the backbone, in a model's config, expect these channels of the stages.

    Raises:
        UserError: nothing there takes the backbone's maps.
    """
    entries = list(_expected(model, widths))
    if not entries:
        raise UserError('Neither neck nor head of the config says how many channels it takes (in_channels).')
    for path, _, wanted in entries:
        *parents, leaf = path.split('.')[1:]
        node = model
        for key in parents:
            node = node[int(key)] if isinstance(node, list | tuple) else node[key]
        node[leaf] = wanted


def _expected(model: Any, widths: tuple[int, ...]) -> Iterator[tuple[str, Any, Any]]:
    """Entries of a model's config that follow from the channels of the stages."""
    given = model['backbone'].get('out_indices', range(len(widths)))
    return expected_widths(model, tuple(widths[index] for index in given))


def write_found(folder: Path, name: str, options: ConfigOptions, scorer: Scorer, record: Record) -> Path:
    """Write ``NAME.py``, a delta of the task's config, and ``NAME.pth``, the weights that its training starts from.

    Args:
        folder: for both.
        name: of the files.
        options: the task's config and its overrides.
        scorer: has the weights.
        record: the network.

    Returns:
        The config.

    Raises:
        UserError: the network alone does not compute what it computes in the supernet.
    """
    config, weights = folder / f'{name}.py', folder / f'{name}.pth'
    base = _base_of(options, folder)
    with TemporaryDirectory(dir=folder) as scratch:
        trial = Path(scratch) / 'network.py'
        text = _config_text(base, open_config(options).model, record, weights.absolute())
        write_text(trial, text)
        cfg = open_config(ConfigOptions(trial, from_scratch=True))
    model = MODELS.build(cfg.model)
    state = _cut(scorer.weights(record.state), model.state_dict())
    model.load_state_dict(state)
    _check_equal(model, scorer, record)
    write_atomically(weights, lambda place: write_torch({'state_dict': state}, place))
    write_text(config, text)
    return config


def _base_of(options: ConfigOptions, folder: Path) -> Path:
    """The config that found ones build on: the task's, or, with overrides, a copy that has them."""
    cfg = read_config(options)
    if not options.cfg_options:
        return Path(cfg.filename).absolute()
    place = folder / 'task.py'
    write_text(place, cfg.pretty_text)
    return place.absolute()


def _config_text(base: Path, task: Any, record: Record, weights: Path) -> str:
    """A delta of a config; ``task`` is the model of the task, whose numbers of classes follow the data set."""
    row = record.state.row
    arch = to_arch(row)
    backbone = dict(
        arch=arch if isinstance(arch, str) else dict(_delete_=True, **arch),
        init_cfg=without_pretrained(task.backbone.get('init_cfg')) or None,
    )
    change: dict[str, Any] = dict(backbone=backbone)
    model = copy.deepcopy(task)
    set_widths(model, row.widths)
    for path, _, wanted in _expected(model, row.widths):
        keys = path.split('.')[1:]
        if any(key.isdigit() for key in keys):
            change[keys[0]] = model[keys[0]]  # lists are replaced as a whole
            continue
        node = change
        for key in keys[:-1]:
            node = node.setdefault(key, {})
        node[keys[-1]] = wanted
    about = (
        f'"""Found by effdense search, {date.today()}: {record.latency_ms:.1f} ms by the table, backbone of '
        f'{record.params_m:.2f} M\nparameters, score {record.score:.4f} in the supernet.\n"""\n\n'
    )
    return f'{about}_base_ = {str(base)!r}\n\nmodel = {_literal(change)}\n\nload_from = {str(weights)!r}\n'


def _literal(value: Any, indent: int = 0) -> str:
    """A dict, or a list of them, as it is written in configs."""
    space = ' ' * (indent + 4)
    if isinstance(value, list) and any(isinstance(part, Mapping) for part in value):
        lines = ''.join(f'{space}{_literal(part, indent + 4)},\n' for part in value)
        return f'[\n{lines}{" " * indent}]'
    if not isinstance(value, Mapping):
        return repr(value)
    lines = ''.join(f'{space}{key}={_literal(part, indent + 4)},\n' for key, part in value.items())
    return f'dict(\n{lines}{" " * indent})'


def _cut(weights: Mapping[str, Tensor], like: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What a model takes that reads fewer channels of the backbone: the first ones of each layer that reads them.

    Raises:
        UserError: the models differ in something else.
    """
    taken = {}
    for name, wanted in like.items():
        value = weights.get(name)
        if value is None or value.shape[:1] != wanted.shape[:1] or value.shape[2:] != wanted.shape[2:]:
            there = 'not there' if value is None else f'{tuple(value.shape)}'
            raise UserError(
                f'{name} is {tuple(wanted.shape)} in the network alone and {there} in the supernet. Only what reads '
                "the backbone's maps may differ, by the channels that it reads: take another neck or head."
            )
        taken[name] = (value[:, : wanted.shape[1]] if value.ndim > 1 else value).clone()
    return taken


@torch.no_grad()
def _check_equal(model: Any, scorer: Scorer, record: Record) -> None:
    """What the network gives behind the neck is what the supernet gives."""
    model.eval()
    for own, other in zip(scorer.features(record.state, model), scorer.features(record.state), strict=True):
        if (own - other).abs().max() > _ROUNDING * max(float(other.abs().max()), 1e-6):
            raise UserError(
                'The network alone does not compute what it computes in the supernet: neck or head mix '
                'maps in a way that zeros do not stand for. A neck that takes each map by itself, as FPN does, would.'
            )


def draw_path(records: Sequence[Record], table: LatencyTable, found: Record, path: Path) -> None:
    """Score against latency of all states, and where the published rows are by the table."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout='constrained')
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.plot([r.latency_ms for r in records], [r.score for r in records], '.-', label='states of the walk')
    axes.plot([found.latency_ms], [found.score], 'o', color='C3', label='found')
    for row, latency in published_latencies(table):
        axes.axvline(latency, linestyle=':', color='0.6')
        axes.annotate(
            row.arch, (latency, 1.0), xycoords=('data', 'axes fraction'), fontsize=8, ha='center', va='bottom'
        )
    c = table.conditions
    axes.set(
        xlabel=f'latency by the table, ms ({c.height} x {c.width} px, {c.device}, {c.threads} threads)',
        ylabel='score in the supernet',
        xscale='log',
    )
    axes.grid(which='both', alpha=0.3)
    axes.legend()
    write_atomically(path, lambda scratch: figure.savefig(scratch, format='png', dpi=110))


def published_latencies(table: LatencyTable) -> list[tuple[Variant, float]]:
    """Published rows of the table's family that it can foretell, the fastest first."""
    found = []
    for row in ALL_VARIANTS:
        if row.family == table.conditions.family:
            try:
                found.append((row, table.predict(row)))
            except UserError:
                continue
    return sorted(found, key=lambda pair: pair[1])


def draw_row(row: Variant, path: Path) -> None:
    """A network as stages of blocks: heights are widths, numbers are ratios."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    figure = Figure(figsize=(max(6, 0.35 * sum(row.depths) + 2), 3.5), layout='constrained')
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    left, places = 0.0, []
    for stage, (width, ratios) in enumerate(zip(row.widths, row.expansion_ratios, strict=True)):
        start = left
        for place, ratio in enumerate(ratios):
            attends = place >= len(ratios) - row.attention_blocks[stage]
            axes.bar(left, width, width=0.9, color='C1' if attends else 'C0', align='edge')
            axes.annotate(str(ratio), (left + 0.45, width), ha='center', va='bottom', fontsize=8)
            left += 1
        places.append(((start + left - 0.1) / 2, f'stage {stage + 1}\n{width}'))
        left += 0.8
    axes.set_xticks([place for place, _ in places], [text for _, text in places])
    axes.set(ylabel='channels', ylim=(0, 1.2 * max(row.widths)))
    axes.legend(handles=[Patch(color='C0', label='local'), Patch(color='C1', label='attention')], loc='upper left')
    down = '' if 'V2' not in row.family else f', attention downsampling {"on" if row.attention_downsample else "off"}'
    axes.set_title(f'{row.family}{down}', fontsize=9)
    write_atomically(path, lambda scratch: figure.savefig(scratch, format='png', dpi=110))
