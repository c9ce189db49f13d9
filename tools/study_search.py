"""Study of whether a network that was searched for is better than others: search, rivals, trainings, tables and a plot.

    python tools/study_search.py --out work_dirs/study_search

Does what is not there yet: the same command goes on after an interruption. Latencies are measured first, with nothing
else running on the machine. ``--quick`` tries every part in minutes. The question, the method and the predictions are
in effformer_dense/studies/search/settings.py.
"""

import sys

from study_door import run_study

if __name__ == '__main__':
    sys.exit(run_study('search', str(__doc__)))
