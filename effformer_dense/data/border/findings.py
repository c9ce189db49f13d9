"""What the border found in a data set: every record that was repaired, dropped or is doubtful, with its reason."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass
from enum import Enum
from typing import IO

from ...errors import UserError

#: How many findings of a kind are named in a summary; a report file has all.
_EXAMPLES = 3


class Action(str, Enum):
    """What became of a record."""

    REPAIRED = 'repaired'
    DROPPED = 'dropped'
    DOUBTFUL = 'doubtful'  # kept as it was


@dataclass(frozen=True)
class Finding:
    """One record and what is wrong with it.

    Attributes:
        action: what became of it.
        kind: short name of what is wrong, the same for all such records: 'box outside', 'no area'.
        file: where the record stands, or the picture that it is about.
        record: which of the file's records: 'annotation 17', 'line 3'; empty for the file as a whole.
        reason: the value found, and what was done about it.
    """

    action: Action
    kind: str
    file: str
    record: str
    reason: str


class Findings:
    """Collects findings in bounded memory: all are counted, some are kept, each is written as it comes.

    Args:
        sink: file for one JSON object per line; None for no report.
    """

    def __init__(self, sink: IO[str] | None = None) -> None:
        self._sink = sink
        self._counts: Counter[tuple[Action, str]] = Counter()
        self._examples: dict[tuple[Action, str], list[Finding]] = {}

    def add(self, action: Action, kind: str, file: str, record: str, reason: str, times: int = 1) -> None:
        """Take note of a record, or in one go of many to which the same was done.

        Args:
            action, kind, file, record, reason: see :class:`Finding`.
            times: how many records it stands for.
        """
        finding = Finding(action, kind, file, record, reason)
        self._counts[action, kind] += times
        examples = self._examples.setdefault((action, kind), [])
        if len(examples) < _EXAMPLES:
            examples.append(finding)
        if self._sink is not None:
            line = json.dumps({**asdict(finding), 'times': times}, ensure_ascii=False)
            # Halves of surrogate pairs, which JSON allows and no encoding has, are written as escapes.
            print(line.encode(errors='backslashreplace').decode(), file=self._sink)

    def count(self, action: Action | None = None, kind: str | None = None) -> int:
        """How many findings there are, of one action or kind if named."""
        return sum(
            number
            for (its_action, its_kind), number in self._counts.items()
            if action in (None, its_action) and kind in (None, its_kind)
        )

    def only(self, action: Action, kind: str) -> Finding | None:
        """The one finding of an action and kind; None if there are several, or none."""
        examples = self._examples.get((action, kind), ())
        return examples[0] if len(examples) == 1 else None

    def kinds(self, action: Action) -> dict[str, int]:
        """Kinds of findings of an action, the most frequent first, and how many there are of each."""
        return {kind: number for (its_action, kind), number in self._counts.most_common() if its_action is action}

    def summary(self, actions: Collection[Action] = tuple(Action)) -> Iterator[str]:
        """One line per kind of these actions, the most frequent first, with the first records of each."""
        for (action, kind), number in self._counts.most_common():
            if action not in actions:
                continue
            examples = self._examples[action, kind]
            some = '; '.join(f'{f.file} {f.record}'.strip() + f': {f.reason}' for f in examples)
            yield f'{number:,} {action.value}, {kind}: {some}{" ..." if number > len(examples) > 1 else ""}'

    def refuse_any(self) -> None:
        """For ``--strict``.

        Raises:
            UserError: anything was found.
        """
        if self._counts:
            lines = '\n'.join(self.summary())
            raise UserError(f'{self.count():,} records are not as they should be, and --strict allows none:\n{lines}')
