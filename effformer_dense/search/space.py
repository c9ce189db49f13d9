"""What a search chooses from: states, each of them a row, and the actions that make one smaller. No tensors here."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from ..errors import UserError, choice_error
from ..rows import find_row
from ..variants import V1, V2, Variant

#: An action by its short name, and what it does: (stage and position are put in).
ACTIONS = {
    'drop': 'drop block {position} of stage {stage}',
    'narrow': 'narrow stage {stage}',
    'ratio': 'smaller ratio in block {position} of stage {stage}',
    'attention': 'no attention in the first block of stage {stage} that has some',
    'downsample': 'no attention downsampling',
}
#: Those of V2's paper (arXiv 2212.08059, section 3.3 "Search algorithm"); dense sizes need the others as well.
PAPER_ACTIONS = ('drop', 'narrow', 'ratio')


@dataclass(frozen=True)
class Block:
    """One that a state keeps: its position in the stage of the largest network, and its expansion ratio."""

    position: int
    ratio: int


@dataclass(frozen=True)
class State:
    """A network within the largest one.

    Attributes:
        family: of :mod:`..variants`.
        widths: channels of each stage.
        blocks: that each stage keeps, in order.
        attention: per stage, how many of the last blocks attend.
        attention_downsample: of V2.
    """

    family: str
    widths: tuple[int, ...]
    blocks: tuple[tuple[Block, ...], ...]
    attention: tuple[int, ...]
    attention_downsample: bool = False

    @property
    def row(self) -> Variant:
        """The network as a row."""
        return _row(self)

    def prefix(self, stages: int) -> tuple:
        """What the first so many stages, 0 for the stem alone, are made of: equal for states that share them."""
        parts: list[tuple] = [(self.widths[0],)]
        for stage in range(stages):
            down = self.attention_downsample if stage == 3 else None
            parts.append((self.widths[stage], self.blocks[stage], self.attention[stage], down))
        return tuple(parts)

    def to_dict(self) -> dict[str, Any]:
        """For a file."""
        return dict(
            family=self.family,
            widths=list(self.widths),
            blocks=[[[block.position, block.ratio] for block in stage] for stage in self.blocks],
            attention=list(self.attention),
            attention_downsample=self.attention_downsample,
        )

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> State:
        """The inverse of :meth:`to_dict`."""
        return cls(
            content['family'],
            tuple(content['widths']),
            tuple(tuple(Block(*block) for block in stage) for stage in content['blocks']),
            tuple(content['attention']),
            content['attention_downsample'],
        )


@lru_cache(maxsize=4096)
def _row(state: State) -> Variant:
    arch: dict[str, Any] = dict(
        widths=state.widths,
        depths=tuple(map(len, state.blocks)),
        expansion_ratios=tuple(tuple(block.ratio for block in stage) for stage in state.blocks),
        attention_blocks=state.attention,
    )
    if state.family == V2:
        arch['attention_downsample'] = state.attention_downsample
    return find_row(state.family, arch)


@dataclass(frozen=True)
class Step:
    """An action on a state, and the state that it leads to. Stages and positions are counted from 0."""

    action: str
    stage: int
    position: int | None
    state: State

    def __str__(self) -> str:
        position = None if self.position is None else self.position + 1
        return ACTIONS[self.action].format(stage=self.stage + 1, position=position)


@dataclass(frozen=True)
class Space:
    """All states that a search may come to.

    Attributes:
        family: of :mod:`..variants`.
        widths: choices per stage, increasing.
        depths: blocks of each stage of the largest network; every stage keeps one at least.
        ratios: choices of every block, increasing.
        attention: per stage, how many of the last blocks of the largest network attend.
        attention_downsample: of V2: whether the largest network has it.
    """

    family: str
    widths: tuple[tuple[int, ...], ...]
    depths: tuple[int, ...]
    ratios: tuple[int, ...]
    attention: tuple[int, ...]
    attention_downsample: bool = True

    @classmethod
    def from_config(cls, family: str, content: Mapping[str, Any] | None = None) -> Space:
        """The family's default, with what ``content`` has otherwise.

        Raises:
            UserError: an entry that does not exist, or that no networks have.
        """
        if family not in DEFAULTS:
            raise UserError(f'Networks of {" and ".join(DEFAULTS)} are searched for; got {family}.')
        default = DEFAULTS[family]
        given = dict(content or {})
        for key in given:
            if key not in default.to_config():
                raise choice_error('Entry of space', key, default.to_config())
        space = replace(default, **{key: _tuples(value) for key, value in given.items()})
        space.check()
        return space

    def to_config(self) -> dict[str, Any]:
        """The inverse of :meth:`from_config`."""
        entries = dict(widths=self.widths, depths=self.depths, ratios=self.ratios, attention=self.attention)
        return {**entries, 'attention_downsample': self.attention_downsample} if self.family == V2 else entries

    def check(self) -> None:
        """Raises ``UserError`` for choices that are no networks'."""
        for name in ('widths', 'depths', 'attention'):
            if not isinstance(getattr(self, name), tuple):
                raise UserError(f'space.{name} must be a list, one entry for each stage; got {getattr(self, name)!r}.')
        for stage, choices in enumerate(self.widths, 1):
            if not _increase(choices):
                raise UserError(f'space.widths of stage {stage} must be increasing numbers; got {choices!r}.')
        if not _increase(self.ratios):
            raise UserError(f'space.ratios must be increasing numbers; got {self.ratios!r}.')
        for name in ('depths', 'attention'):
            if not _are_numbers(getattr(self, name)):
                raise UserError(f'space.{name} must be whole numbers; got {getattr(self, name)!r}.')
        if not isinstance(self.attention_downsample, bool):
            raise UserError(f'space.attention_downsample must be True or False; got {self.attention_downsample!r}.')
        if not len(self.widths) == len(self.depths) == len(self.attention) == 4:
            raise UserError(
                'space.widths, space.depths and space.attention must have four entries, one for each stage.'
            )
        try:
            _ = self.largest.row, self.smallest.row
        except UserError as error:
            raise UserError(f'space: {error}') from error

    @property
    def largest(self) -> State:
        blocks = tuple(tuple(Block(position, self.ratios[-1]) for position in range(depth)) for depth in self.depths)
        return State(
            self.family,
            tuple(choices[-1] for choices in self.widths),
            blocks,
            self.attention,
            self.attention_downsample,
        )

    @property
    def smallest(self) -> State:
        return self.least(tuple(ACTIONS))

    def least(self, actions: Sequence[str]) -> State:
        """What is left of the largest state once no action leads further."""
        end = -1 if 'narrow' not in actions else 0
        ratio = self.ratios[0 if 'ratio' in actions else -1]
        first = [depth - 1 if 'drop' in actions else 0 for depth in self.depths]
        blocks = tuple(
            tuple(Block(position, ratio) for position in range(start, depth))
            for start, depth in zip(first, self.depths, strict=True)
        )
        attention = (0,) * len(self.depths)
        if 'attention' not in actions:  # attending blocks go before others, but none goes as the last of its stage
            pairs = zip(self.attention, self.depths, strict=True)
            attention = self.attention if 'drop' not in actions else tuple(int(n == depth) for n, depth in pairs)
        downsample = self.attention_downsample and 'downsample' not in actions
        return State(self.family, tuple(choices[end] for choices in self.widths), blocks, attention, downsample)

    def random(self, generator: random.Random) -> State:
        """Any state; depths, widths, ratios and attention are drawn evenly."""
        blocks, attention = [], []
        for stage, depth in enumerate(self.depths):
            positions = sorted(generator.sample(range(depth), generator.randint(1, depth)))
            blocks.append(tuple(Block(position, generator.choice(self.ratios)) for position in positions))
            attention.append(generator.randint(0, self._can_attend(stage, positions)))
        widths = tuple(generator.choice(choices) for choices in self.widths)
        downsample = self.attention_downsample and generator.random() < 0.5
        return State(self.family, widths, tuple(blocks), tuple(attention), downsample)

    def _can_attend(self, stage: int, positions: Sequence[int]) -> int:
        first = self.depths[stage] - self.attention[stage]
        return sum(position >= first for position in positions)

    def state_of(self, row: Variant) -> State:
        """The state that is a row: its attending blocks are the stage's last, the others its first.

        Raises:
            UserError: the space does not hold it; says which width, depth or ratio.
        """
        blocks = []
        for stage, ratios in enumerate(row.expansion_ratios):
            count, attending = len(ratios), row.attention_blocks[stage]
            if count > self.depths[stage] or attending > self.attention[stage]:
                raise UserError(
                    f'{row.name} has {count} blocks in stage {stage + 1}, {attending} with attention, and the space '
                    f'has {self.depths[stage]}, {self.attention[stage]} with attention.'
                )
            last = range(self.depths[stage] - attending, self.depths[stage])
            positions = [*range(count - attending), *last]
            blocks.append(tuple(Block(position, ratio) for position, ratio in zip(positions, ratios, strict=True)))
        downsample = row.family == V2 and row.attention_downsample
        state = State(row.family, row.widths, tuple(blocks), row.attention_blocks, downsample)
        self.check_state(state)
        return state

    def check_state(self, state: State) -> None:
        """Raises ``UserError`` for a state outside the space; says what is."""
        for stage, (width, choices) in enumerate(zip(state.widths, self.widths, strict=True), 1):
            if width not in choices:
                raise UserError(
                    f'Stage {stage} has {width} channels, and the space has {", ".join(map(str, choices))}.'
                )
        for block in (block for stage in state.blocks for block in stage):
            if block.ratio not in self.ratios:
                raise UserError(
                    f'A block has ratio {block.ratio}, and the space has {", ".join(map(str, self.ratios))}.'
                )
        if state.attention_downsample and not self.attention_downsample:
            raise UserError('The state has attention downsampling, and the space has not.')

    def frontier(self, state: State, actions: Sequence[str] = tuple(ACTIONS)) -> list[Step]:
        """All states that one action leads to."""
        steps = [step for stage in range(len(self.depths)) for step in self._of_stage(state, stage)]
        if state.attention_downsample:
            steps.append(Step('downsample', 3, None, replace(state, attention_downsample=False)))
        return [step for step in steps if step.action in actions]

    def _of_stage(self, state: State, stage: int) -> list[Step]:
        steps = []
        blocks, attention = state.blocks[stage], state.attention[stage]
        if len(blocks) > 1:
            for place, block in enumerate(blocks):
                fewer = attention - (place >= len(blocks) - attention)
                rest = blocks[:place] + blocks[place + 1 :]
                smaller = replace(
                    state, blocks=_set(state.blocks, stage, rest), attention=_set(state.attention, stage, fewer)
                )
                steps.append(Step('drop', stage, block.position, smaller))
        narrower = [width for width in self.widths[stage] if width < state.widths[stage]]
        if narrower:
            steps.append(Step('narrow', stage, None, replace(state, widths=_set(state.widths, stage, narrower[-1]))))
        for place, block in enumerate(blocks):
            lower = [ratio for ratio in self.ratios if ratio < block.ratio]
            if lower:
                changed = _set(blocks, place, Block(block.position, lower[-1]))
                steps.append(
                    Step('ratio', stage, block.position, replace(state, blocks=_set(state.blocks, stage, changed)))
                )
        if attention:
            less = replace(state, attention=_set(state.attention, stage, attention - 1))
            steps.append(Step('attention', stage, None, less))
        return steps


def _set(values: tuple, index: int, value: Any) -> tuple:
    return (*values[:index], value, *values[index + 1 :])


def _tuples(value: Any) -> Any:
    return tuple(_tuples(part) for part in value) if isinstance(value, list | tuple) else value


def _are_numbers(values: Any) -> bool:
    return isinstance(values, tuple) and all(type(value) is int for value in values)


def _increase(values: Any) -> bool:
    return _are_numbers(values) and bool(values) and list(values) == sorted(set(values))


#: Every published row is a state of its family's. V2: all blocks of stages 3 and 4 attend in the largest network, as in
#: the paper; V1: so does any position of stages 3 and 4, and widths are multiples of 16 (arXiv 2206.01191).
DEFAULTS = {
    V2: Space(
        V2,
        (tuple(range(24, 41, 8)), tuple(range(32, 81, 8)), tuple(range(64, 193, 8)), tuple(range(128, 385, 16))),
        (5, 5, 15, 10),
        (2, 3, 4),
        (0, 0, 15, 10),
    ),
    V1: Space(
        V1,
        (tuple(range(32, 97, 16)), tuple(range(64, 193, 16)), tuple(range(128, 385, 16)), tuple(range(256, 769, 16))),
        (6, 6, 18, 8),
        (4,),
        (0, 0, 18, 8),
        attention_downsample=False,
    ),
}
