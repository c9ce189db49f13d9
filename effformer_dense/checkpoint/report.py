"""What loading does to each entry, in words that can be logged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor


@dataclass(frozen=True)
class LoadReport:
    """Fate of every entry of a file and of a model.

    Attributes:
        matched: entries loaded as they are.
        resized: bias tables loaded after a resize, {key: 'shape in the file -> shape in the model'}.
        ignored: entries of the file that are not needed, {key: reason}.
        missing: entries of the model that the file lacks.
        unexpected: entries of the file that the model lacks.
        mismatched: entries whose shapes differ, {key: 'shape in the file, shape in the model'}.
    """

    matched: list[str] = field(default_factory=list)
    resized: dict[str, str] = field(default_factory=dict)
    ignored: dict[str, str] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    mismatched: dict[str, str] = field(default_factory=dict)

    def summary(self, examples: int = 5) -> str:
        """One paragraph: counts, and the first keys of what needs a look."""
        parts = [f'{len(self.matched)} entries matched']
        if self.resized:
            shapes = sorted(set(self.resized.values()))
            parts.append(f'{len(self.resized)} bias tables resized ({", ".join(shapes)})')
        for reason in sorted(set(self.ignored.values())):
            count = sum(value == reason for value in self.ignored.values())
            parts.append(f'{count} ignored ({reason})')
        for label, entries in (
            ('missing', self.missing),
            ('unexpected', self.unexpected),
            ('of another shape', [f'{key} {shapes}' for key, shapes in self.mismatched.items()]),
        ):
            if entries:
                more = ', ...' if len(entries) > examples else ''
                parts.append(f'{len(entries)} {label} ({", ".join(entries[:examples])}{more})')
        return '; '.join(parts) + '.'


def load_report(
    loaded: Mapping[str, Tensor], expected: Mapping[str, Tensor], ignored: Mapping[str, str] | None = None
) -> LoadReport:
    """Compare entries in our layout with those of a model.

    Args:
        loaded: entries of the file, already in our layout.
        expected: ``state_dict()`` of the model.
        ignored: what renaming left out, with reasons.
    """
    report = LoadReport(ignored=dict(ignored or {}))
    for key, value in expected.items():
        if key not in loaded:
            # Files of the mmcv 1.x era lack the counter, and nothing that we build reads it.
            if not key.endswith('num_batches_tracked'):
                report.missing.append(key)
        elif loaded[key].shape == value.shape:
            report.matched.append(key)
        elif key.endswith('.bias.table') and _is_table(loaded[key], num_heads=len(value)):
            report.resized[key] = f'{tuple(loaded[key].shape)} -> {tuple(value.shape)}'
        else:
            report.mismatched[key] = f'{tuple(loaded[key].shape)}, not {tuple(value.shape)}'
    report.unexpected.extend(key for key in loaded if key not in expected)
    return report


def _is_table(table: Tensor, num_heads: int) -> bool:
    """Whether it can be resized: a square grid of some cells per head."""
    return table.dim() == 3 and len(table) == num_heads and table.shape[1] == table.shape[2] > 0
