"""Study of distillation: what a teacher is worth to a segmentor with few labels. One command trains, scores and writes.

    python tools/study_distillation.py --out work_dirs/study_distillation

Does what is not there yet: the same command goes on after an interruption. ``--quick`` tries every part in minutes. The
question, the method and the prediction are in effformer_dense/studies/distillation/settings.py.
"""

import sys

from study_door import run_study

if __name__ == '__main__':
    sys.exit(run_study('distillation', str(__doc__)))
