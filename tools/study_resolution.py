"""Study of how attention biases reach other sizes: data, training, evaluation, tables and plots, from one command.

    python tools/study_resolution.py --out work_dirs/study_resolution

Does what is not there yet: the same command goes on after an interruption. ``--quick`` tries every part in minutes. The
question, the method and the rule of decision are in effformer_dense/studies/resolution/settings.py.
"""

import sys

from study_door import run_study

if __name__ == '__main__':
    sys.exit(run_study('resolution', str(__doc__)))
