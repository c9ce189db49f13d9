"""Which way of bringing a learned attention bias to another size keeps what the net has learned?

**Question.** Biases learned at 224 px serve pictures of 800 x 1344 px. ``bias_resize`` and ``attention_scale`` have
contenders (:mod:`...backbones.offset_maps`, :mod:`...backbones.scale`). Which one should be the default? And does it
help to keep the second talking head's bias from growing with the picture (``talking_bias``,
:class:`...backbones.attention.MapAttention`)?

**Method.** EfficientFormerV2 S0 with a Semantic FPN learns scenes with two questions (:mod:`.scenes`), once per seed,
at 224 px and with tables of 7 cells. The trained net is then evaluated, untuned, with every contender, in two arms:

* *canvas*: things keep their size in px, the scene grows;
* *spread*: as many things as in training keep their size, and lie farther apart: a distance is the same share of the
  picture's height as in training. Scenes that are enlarged as a whole, as for FixRes (arXiv 1906.06423), would mix
  this with objects of sizes that the nets have never seen.

Portrait scenes are the landscape ones transposed. Then the best three modes, ``matrix`` and ``zero``, and the best
mode with ``talking_bias='mean'``, are fine-tuned on a larger canvas. Scores: mIoU over the classes of *where*, and over
those of *what*. Intervals are bootstrap ones, 95 %, over seeds and pictures; differences are paired: the same nets and
the same pictures.

**Control.** At 224 px, where all contenders are the same, ``zero`` must destroy *where* and leave most of *what*:
else nets do not read the bias, and the study says nothing.

**Seen before**, while this was made: controls of three nets; and the default, with ``talking_bias`` of both kinds, at
448 and 672 px. *Where* fell to 0.2 on the canvas. Of scenes that were enlarged as a whole nothing was read at all,
digits neither (0.01); with things of many scales, which would have helped, two nets did not learn *where* in 600
steps. No other mode was scored at another size.

**Prediction**, written before any run with other modes:

1. Control: *where* falls from above 0.8 to below 0.35; three colours guessed at random have an IoU of 0.2.
2. Canvas: ``clamp`` is best at every size, for distances in cells mean what they meant; then ``geometric``, ``log``,
   and ``bicubic`` and ``bilinear`` side by side. At 800 x 1344, the stretched ones are no better than ``zero``.
3. Spread: the other way round. ``bicubic`` and ``bilinear`` are best where the shape is square, ``clamp`` is near
   ``zero`` from 448 px on.
4. ``matrix`` is as poor as ``zero`` at every size but 224 px.
5. *What* hardly depends on the mode; it depends on the arm.
6. ``log_tokens`` helps ``clamp`` on the largest canvases by some hundredths, and changes little elsewhere: it
   sharpens the part of the scores that comes from content, not the bias.
7. Fine-tuning: after 500 steps the differences between ``clamp`` and ``bicubic`` are less than half of what they
   were.

8. ``talking_bias='mean'`` changes little on the canvas, and helps in the spread arm, where
   things are few and ground is much.

**Rule of decision**, written before any run with other modes. Scores of *where* with ``attention_scale=None``, as the
mean over the sizes of an arm other than 224 px, as differences to ``bicubic``:

* A contender *wins* an arm if the interval of its difference lies above 0; it *loses* it if the interval lies below
  0.
* If a contender wins the canvas arm and does not lose the spread arm, it becomes the default; of several, the one with
  the largest difference in the canvas arm.
* If none does, but some win one arm and lose the other, ``bicubic`` stays the default, and the documentation says
  which one to take when.
* Else ``bicubic`` stays.
* ``log_tokens`` becomes the default if, with the mode so chosen, its difference to None wins one arm and loses none.
* ``talking_bias='mean'`` is named by our configs for larger pictures if, with that mode, its difference to ``'sum'``
  wins one arm and loses none. The default stays: published weights need it.

:func:`.statistics.decide` applies the rule. What none of this can show: natural pictures, large nets, pretrained
weights.

**Changed after a main table was seen**, and before fine-tuning was: all nets are fine-tuned instead of two, and the
best mode with ``talking_bias='mean'`` too. And of five nets one had not learned *where* in its 600 steps (0.19 at
224 px, with its tables and without): such a net has no bias that could travel, and another takes its place. What
decides is its score at 224 px, where all contenders are the same. And batch norms are frozen in fine-tuning: a first
try let them train on single pictures, and nets that answered in training mode (*where* 0.95 after 60 steps, ``clamp``)
did not in evaluation mode (0.01).
"""

from __future__ import annotations

from dataclasses import dataclass

from ...backbones.relpos import RESIZE_MODES

BASE_SIZE = (224, 224)
ARMS = ('canvas', 'spread')
SCALES = (None, 'log_tokens')
#: ``bias_resize`` when the study was made; what contenders are compared with.
DEFAULT = 'bicubic'


@dataclass(frozen=True)
class Settings:
    """How much is done; what differs gives other numbers.

    Attributes:
        seeds: nets that are evaluated: of seeds 0, 1, ... the first that have learned *where*.
        learned: what that is: its mIoU at 224 px.
        train_steps, batch: steps at 224 px, scenes in each.
        learning_rate: the largest, of AdamW.
        channels: of neck and head.
        pictures: ``(height, width, scenes on canvas, scenes spread)`` per size that is evaluated.
        modes: of ``bias_resize``.
        tuned_steps: after which they are evaluated.
        tuned_size: (height, width) of the canvases of fine-tuning, one scene a step; one of those that are evaluated.
        resamples: of the bootstrap.
    """

    seeds: int = 5
    learned: float = 0.5
    train_steps: int = 600
    batch: int = 8
    learning_rate: float = 3e-3
    channels: int = 32
    pictures: tuple[tuple[int, int, int, int], ...] = (
        (224, 224, 24, 24),
        (320, 320, 16, 24),
        (448, 448, 10, 20),
        (672, 672, 5, 12),
        (800, 1344, 3, 8),
        (1344, 800, 3, 8),
    )
    modes: tuple[str, ...] = RESIZE_MODES
    tuned_steps: tuple[int, ...] = (100, 500)
    tuned_size: tuple[int, int] = (672, 672)
    resamples: int = 2000

    def scenes(self, arm: str, size: tuple[int, int]) -> int:
        """How many are evaluated."""
        counts = {(height, width): (canvas, spread) for height, width, canvas, spread in self.pictures}
        return counts[size][ARMS.index(arm)]

    @property
    def sizes(self) -> list[tuple[int, int]]:
        return [(height, width) for height, width, _, _ in self.pictures]


#: Minutes instead of hours, and no result: that every part works.
QUICK = Settings(
    seeds=2,
    learned=0.0,
    train_steps=4,
    batch=2,
    channels=16,
    pictures=((224, 224, 2, 2), (320, 256, 1, 1), (256, 320, 1, 1)),
    tuned_steps=(1, 2),
    tuned_size=(256, 320),
    resamples=50,
)
