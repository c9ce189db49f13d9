"""The command `effdense eval-ade20k`, from a checkout."""

from door import run

if __name__ == '__main__':
    run('eval-ade20k')
