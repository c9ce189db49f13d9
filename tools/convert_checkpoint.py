"""The command `effdense convert`, from a checkout."""

from door import run

if __name__ == '__main__':
    run('convert')
