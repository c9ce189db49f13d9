"""Is a network that was searched for better than one that was not?

**Question.** ``effdense search joint`` walks from a large network to one of a given latency. Does its choice beat
chance? Is the order of scores in the supernet that of networks which were trained alone? Are the supernet's weights a
better start than random ones? And does it matter at which size latencies were measured?

**Method.** Semantic FPN on the shapes of the demo, in its space of small EfficientFormerV2 networks; latency at 512 px,
one thread. All networks are trained alone from random weights, with the same recipe and as many iterations, once per
seed; scores are mIoU on the held-out pictures.

* *Chance*: states drawn from the space evenly, whose latency, measured in turns with that of the found network, is
  within 2 % of it: the first eight.
* *Shrunk*: the largest network with all widths and depths times one factor and one ratio for all blocks, the one whose
  latency by the table is nearest to the found one's.
* *States*: twelve of the walk, evenly apart from its first to its last, or all if it has fewer; and the ends of the
  walks by tables.
* *Inherited*: the found network, trained as long from what it has in the supernet, neck and head included.
* *Tables*: walks in the same supernet by tables of 224 x 224 px and of 800 x 1344 px, both until the network takes a
  given share of what the largest one takes at 800 x 1344 px, by the second table.

**Prediction**, written before any of these was run:

1. The found network is better than the mean of the random ones by 0.01 to 0.05 mIoU, and better than most of them.
2. Against the shrunk one the difference is smaller, and its interval may hold 0.
3. Kendall's tau of scores in the supernet (negative losses) and of mIoU trained alone is between 0.3 and 0.7.
4. Inherited weights are better by more than 0.05: the supernet has seen more pictures than the training has.
5. At 800 x 1344 px attention costs most: the walk by that table gives up all of it first, the one by the table of
   224 px keeps more, and pays with widths or depth. Pictures of 128 px have little use for attention, so that the
   former scores better.

**What counts.** Differences of means over seeds with 95 % bootstrap intervals over seeds and, of the random ones,
networks; whatever comes out is printed. A difference is *above 0* if its interval is.

**Changed after a first run**: its walks by the two tables had the target of the search, 0.4 of the largest network, and
came to the same network, by the same steps. They now go on to 0.15 (``table_share``), where they were seen to part
before anything was trained there. The walk of the search had ten states, so that the networks at the ends of the walks
by tables count among the states, too.

What this cannot show: pictures that need attention; large spaces; long trainings.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..trainings import FEW_SHAPES


@dataclass(frozen=True)
class Settings:
    """How much is done; what differs gives other numbers.

    Attributes:
        config: of the task and its space.
        cfg_options: overrides of it, for all trainings.
        size: (height, width) px at which latency counts.
        latency_share: the target, of what the largest network takes.
        supernet_iterations, iterations: of the supernet, and of every network alone.
        pictures: on which the walk scores.
        random_networks: of equal latency.
        tolerance: of latencies that count as equal, relative.
        path_states: of the walk that are trained alone.
        seeds: trainings of each network; states of the walk have one.
        table_share: the target of the walks by these tables, of what the largest network takes where latency counts.
        table_sizes: of the two tables that are compared, (height, width); the second one is where latency counts.
        rounds: of measuring.
        resamples: of the bootstrap.
    """

    config: str = 'search/joint_v2_shapes'
    cfg_options: tuple[str, ...] = ()
    size: tuple[int, int] = (512, 512)
    latency_share: float = 0.4
    supernet_iterations: int = 1500
    iterations: int = 800
    pictures: int = 64
    random_networks: int = 8
    tolerance: float = 0.02
    path_states: int = 12
    seeds: int = 3
    table_sizes: tuple[tuple[int, int], tuple[int, int]] = ((224, 224), (800, 1344))
    table_share: float = 0.15
    rounds: int = 7
    resamples: int = 2000


#: Minutes instead of hours, and no result: that every part works.
QUICK = Settings(
    cfg_options=FEW_SHAPES,
    size=(64, 64),
    latency_share=0.7,
    supernet_iterations=8,
    iterations=8,
    pictures=4,
    random_networks=2,
    tolerance=0.2,
    path_states=3,
    seeds=2,
    table_sizes=((64, 64), (64, 96)),
    table_share=0.7,
    rounds=2,
    resamples=50,
)
