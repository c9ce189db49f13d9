"""The command `effdense compare`, from a checkout."""

from door import run

if __name__ == '__main__':
    run('compare')
