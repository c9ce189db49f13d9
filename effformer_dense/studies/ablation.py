"""The ablation of EfficientFormer V2 (arXiv 2212.08059, table 1), rebuilt: our parameters, operations and times.

The paper gives the depths and widths of none of its steps but the first. Those of ``configs/ablation`` are chosen so
that parameters and operations come close; what each step changes is the paper's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from ..benchmark.cases import make_groups
from ..benchmark.report import machine
from ..benchmark.rounds import Measurement, measure_group
from ..config.home import find_config
from ..config.load import load_config
from ..errors import UserError
from ..files import make_output_dir, write_text
from ..options import BenchmarkOptions, ConfigOptions

_CLASSES = 1000
COLUMNS = ('step', 'M parameters', 'quoted', 'GMACs', 'quoted', 'ms', 'ms, iPhone 12, quoted', 'top-1, quoted')


@dataclass(frozen=True)
class Step:
    """A row of the table.

    Attributes:
        config: file in ``configs/ablation``, without its suffix.
        params_m, gmacs, ms, top_1: quoted: of the classifier at 224 px, time on an iPhone 12, accuracy in percent.
    """

    config: str
    params_m: float
    gmacs: float
    ms: float
    top_1: float


STEPS = (
    Step('1_v1_l1', 12.25, 1.30, 1.4, 79.2),
    Step('2_depthwise', 12.27, 1.30, 1.4, 79.8),
    Step('3_unified_ffn', 12.37, 1.33, 1.4, 80.3),
    Step('4_depth_and_width', 12.24, 1.20, 1.3, 80.5),
    Step('5_five_stages', 12.63, 1.08, 1.5, 80.3),
    Step('6_attention_parts', 12.25, 1.21, 1.3, 80.8),
    Step('7_attention_at_16', 13.10, 1.48, 3.5, 81.7),
    Step('8_stride_attention', 13.10, 1.31, 1.5, 81.5),
    Step('9_attention_downsample', 12.40, 1.35, 1.6, 81.8),
)


@dataclass(frozen=True)
class Found:
    """A step as it was measured; ``params_m`` with a classifier, as the quoted figure."""

    step: Step
    params_m: float
    measurement: Measurement


def run(
    size: tuple[int, int], measuring: BenchmarkOptions, out_dir: Path, note: Callable[[str], None] = lambda _: None
) -> list[Found]:
    """Measure all steps, fused, in one run in which they take turns; write ``ablation.md``.

    Args:
        size: (height, width), px; quoted operations are of 224 x 224.
        measuring: threads and rounds.
        out_dir: for the table.
        note: told what is going on.

    Raises:
        UserError: ``out_dir`` cannot be written, a size that no network takes, or several numbers of threads.
    """
    make_output_dir(out_dir)
    if len(measuring.thread_counts) > 1:
        raise UserError(
            f'The ablation takes one number of threads; got {", ".join(map(str, measuring.thread_counts))}.'
        )
    paths = [config_of(step) for step in STEPS]
    groups = make_groups(list(map(str, paths)), [(1, *size)], ['fused'], measuring, part='backbone')
    measured = measure_group([case for group in groups for case in group], measuring.rounds, None, note)
    found = [
        Found(step, (m.parameters + classifier_parameters(last_width(path))) / 1e6, m)
        for step, path, m in zip(STEPS, paths, measured, strict=True)
    ]
    write_text(out_dir / 'ablation.md', to_markdown(found))
    return found


def config_of(step: Step) -> Path:
    """Path of a step's config."""
    path = find_config(f'configs/ablation/{step.config}.py')
    assert path is not None, f'configs/ablation has no {step.config}.py'
    return path


def last_width(config: Path) -> int:
    """Channels of the last stage."""
    channels: Sequence[int] = load_config(ConfigOptions(config, from_scratch=True)).model.neck.in_channels
    return channels[-1]


def classifier_parameters(width: int) -> int:
    """Of the batch norm and of the two linear layers, one for a teacher, that end the published classifiers."""
    return 2 * width + 2 * (width * _CLASSES + _CLASSES)


def to_markdown(found: Sequence[Found]) -> str:
    """The table."""
    conditions = found[0].measurement.case.conditions
    lines = [f'| {" | ".join(COLUMNS)} |', '|---' * len(COLUMNS) + '|']
    for row in found:
        cells = (
            row.step.config.replace('_', ' '), f'{row.params_m:.2f}', f'{row.step.params_m:.2f}',
            f'{row.measurement.gmacs:.2f}', f'{row.step.gmacs:.2f}', f'{row.measurement.median_ms:.1f}',
            f'{row.step.ms:.1f}', f'{row.step.top_1:.1f}',
        )  # fmt: skip
        lines.append(f'| {" | ".join(cells)} |')
    return '\n\n'.join([f'{date.today()}, {machine()}', conditions, '\n'.join(lines)]) + '\n'
