"""The two papers' ways to search: what is trained, and how is walked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from ..options import SearchOptions
from ..variants import V1, V2, Variant
from .latency import LatencyTable
from .memory import memory_of
from .metapath import MetaPathSupernet, MetaPathTraining
from .objective import mobile_efficiency
from .sandwich import Sandwich
from .scoring import Scorer
from .slim import SLIMMING, slimming_steps
from .space import ACTIONS, PAPER_ACTIONS, Space
from .supernet import Supernet
from .walk import Walker


@dataclass(frozen=True)
class Method:
    """A way to search.

    Attributes:
        name: step of the command.
        family: of the networks.
        supernet: stands where the backbone was.
        training: of a model with a supernet.
        actions: that its steps are made of, with these options.
        undecayed: parts of names of parameters that weight decay would move to no purpose.
        walker: from space, latency table, scores, options and a function to tell what is going on.
    """

    name: str
    family: str
    supernet: type[Supernet]
    training: type[Sandwich]
    actions: Callable[[SearchOptions], Sequence[str]]
    undecayed: tuple[str, ...]
    walker: Callable[[Space, LatencyTable, Scorer, SearchOptions, Callable[[str], None]], Walker]


def _joint(space: Space, table: LatencyTable, scorer: Scorer, search: SearchOptions, note: Any) -> Walker:
    """All steps; they gain Mobile Efficiency Score."""
    steps = partial(space.frontier, actions=_joint_actions(search))
    return Walker(space, table, scorer, steps, mobile_efficiency, note, _memory(table, search))


def _joint_actions(search: SearchOptions) -> Sequence[str]:
    return PAPER_ACTIONS if search.paper_actions else tuple(ACTIONS)


def _slim(space: Space, table: LatencyTable, scorer: Scorer, search: SearchOptions, note: Any) -> Walker:
    """Three steps; they gain milliseconds."""
    assert isinstance(scorer.supernet, MetaPathSupernet)
    steps = partial(slimming_steps, space, scorer.supernet.importance())
    return Walker(space, table, scorer, steps, lambda costs: -costs['latency_ms'], note, _memory(table, search))


def _memory(table: LatencyTable, search: SearchOptions) -> Callable[[Variant], float] | None:
    return None if search.memory_mib is None else memory_of(table.conditions)


JOINT = Method('joint', V2, Supernet, Sandwich, _joint_actions, (), _joint)
SLIM = Method('slim', V1, MetaPathSupernet, MetaPathTraining, lambda _: SLIMMING, ('backbone.alphas',), _slim)
METHODS = {method.name: method for method in (JOINT, SLIM)}
