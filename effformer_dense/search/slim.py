"""Steps of V1's latency-driven slimming (arXiv 2206.01191, section 4)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .space import Space, State, Step

#: Per stage and position, as :meth:`.metapath.MetaPathSupernet.importance` gives it.
Importance = Sequence[Sequence[float]]
#: Actions that its steps are made of.
SLIMMING = ('drop', 'attention', 'narrow')


def slimming_steps(space: Space, importance: Importance, state: State) -> list[Step]:
    """The three steps that a round of slimming chooses from, or as many of them as there are.

    Of all positions that can go, the least important one goes; the first block with attention becomes one without; of
    all stages that can be narrower, the least important one becomes so. A stage is as important as its positions
    together.
    """
    steps = space.frontier(state)

    def least(action: str, key: Callable[[Step], float]) -> list[Step]:
        return sorted((step for step in steps if step.action == action), key=key)[:1]

    def of_position(step: Step) -> float:
        assert step.position is not None
        return importance[step.stage][step.position]

    def of_stage(step: Step) -> float:
        return sum(importance[step.stage][block.position] for block in state.blocks[step.stage])

    keys = (of_position, lambda step: step.stage, of_stage)
    return [step for action, key in zip(SLIMMING, keys, strict=True) for step in least(action, key)]
