"""The command `effdense search`, from a checkout."""

from door import run

if __name__ == '__main__':
    run('search')
