"""Does a teacher help a small segmentor of which few pictures have labels?

**Question.** A hundred pictures have labels, two thousand have none, and a larger network has been trained where labels
were many. Does a student that first learns from it (``distill`` of a config), its features or its logits, and then from
the labels, become better than one that learns from the labels alone?

**Method.** Semantic FPN on the shapes of the demo; the student's backbone is EfficientFormerV2 S0, the teacher's S2,
trained on the labels of all pictures. The student, once per seed, with the demo's recipe:

* *labels*: so many iterations on the labelled pictures;
* *labels, twice as long*: twice as many;
* *features, then labels*: so many on the features of the teacher, on all pictures without their labels; then
  *labels* from the backbone that comes of it;
* *logits, then labels*: the same with the logits of the teacher, from the whole segmentor.

The second arm is there because the last two train as long as it: what they have before it is the teacher and the other
pictures. Scores are mIoU on the held-out pictures.

**Prediction**, written before any of these was run. Seen before: shorter trainings from a poorer teacher (mIoU 0.61),
in which both kinds did worse than labels for as many iterations in all.

1. The teacher has more than 0.75.
2. *Labels, twice as long* is better than *labels* by less than 0.05: a hundred pictures are soon known.
3. *Logits, then labels* is better than either by 0.05 to 0.15: the teacher's logits are labels of all pictures.
4. *Features, then labels* lies between *labels* and *logits, then labels*; against *labels, twice as long* its interval
   may hold 0.

**What counts.** Differences of means over seeds with 95 % intervals of Welch's t; whatever comes out is printed. A kind
*helps* if its interval to *labels, twice as long* is above 0.

What this cannot show: natural pictures, pretrained teachers, other sets of a hundred pictures (they are the first ones
of the data set for all seeds).
"""

from __future__ import annotations

from dataclasses import dataclass

from ..trainings import FEW_SHAPES


@dataclass(frozen=True)
class Settings:
    """How much is done; what differs gives other numbers.

    Attributes:
        config: of the student and its task.
        teacher: ``arch`` of the teacher's backbone.
        cfg_options: overrides, for all trainings.
        labelled: pictures whose labels the student sees, the first ones.
        iterations: of each step of the student's.
        teacher_iterations: of the teacher's training.
        seeds: trainings of the student in each arm.
    """

    config: str = 'semfpn_v2_s0_shapes'
    teacher: str = 's2'
    cfg_options: tuple[str, ...] = ()
    labelled: int = 100
    iterations: int = 1200
    teacher_iterations: int = 2400
    seeds: int = 3


#: Minutes instead of hours, and no result: that every part works.
QUICK = Settings(
    teacher='s1',
    cfg_options=FEW_SHAPES,
    labelled=4,
    iterations=4,
    teacher_iterations=4,
    seeds=2,
)
