"""The command `effdense prepare-data`, from a checkout."""

from door import run

if __name__ == '__main__':
    run('prepare-data')
